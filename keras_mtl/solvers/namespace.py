"""One solver, two places to run it: in the graph or on the host.

The solvers of this package are written once, against a namespace `xp` of
array functions. Inside a compiled step `xp` is `keras.ops`, and the K x K
problem never leaves the device. Where values are concrete (eager torch, or a
call by hand), dozens of tiny eager operations would cost milliseconds, so the
matrix makes one round trip to the host and `xp` is NumPy in float64.

`xp.epsilon` is the relative rounding error of the inputs: what is zero, and
which matrix is singular, depends on the precision of the gradients and not on
where the solver runs.
"""

from collections.abc import Callable
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl import backend
from keras_mtl.typing import Tensor


def _host_while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Sequence[Any],
    maximum_iterations: int | None = None,
) -> tuple[Any, ...]:
    state = tuple(loop_vars)
    count = 0
    while cond(*state) and (
        maximum_iterations is None or count < maximum_iterations
    ):
        state = tuple(body(*state))
        count += 1
    return state


def _host_one_hot(
    index: Any, num_classes: int, dtype: Any = np.float64
) -> np.ndarray:
    index = np.asarray(index)[..., None]
    return (np.arange(num_classes) == index).astype(dtype)


def _host_solve_positive(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.linalg.solve(matrix, target[..., None])[..., 0]


def _host_choose(
    condition: Tensor,
    when_true: Callable[[], Any],
    when_false: Callable[[], Any],
) -> Any:
    return when_true() if condition else when_false()


#: The part of `keras.ops` that solvers use, in NumPy.
HOST = SimpleNamespace(
    **{
        name: getattr(np, name)
        for name in (
            "abs all any arange argmax argmin argsort bitwise_and "
            "bitwise_or bitwise_xor clip concatenate cos cumsum diag "
            "diagonal dot equal exp expand_dims eye full_like isfinite "
            "log logical_and logical_not logical_or logical_xor matmul "
            "max maximum mean min minimum ones ones_like outer reshape "
            "roll sign sort sqrt square stack sum take take_along_axis "
            "transpose where zeros zeros_like"
        ).split()
    },
    bitwise_right_shift=np.right_shift,
    choose=_host_choose,
    cast=lambda x, dtype: np.asarray(x).astype(dtype),
    eigh=np.linalg.eigh,
    one_hot=_host_one_hot,
    shape=np.shape,
    solve_positive=_host_solve_positive,
    while_loop=_host_while_loop,
    epsilon=float(np.finfo(np.float64).eps),
)


#: After so many pivots the finished columns are dropped: more would do work
#: for nothing, fewer make larger graphs.
PIVOTS_AT_ONCE = 16


class Graph:
    """`keras.ops`, in a form that torch can compile too.

    Args:
        epsilon: Relative rounding error of the inputs.
    """

    # torch cannot trace `ops.max` and `ops.min` of a whole tensor.
    max = staticmethod(ops.amax)
    min = staticmethod(ops.amin)
    while_loop = staticmethod(backend.while_loop)
    dot = matmul = staticmethod(backend.small_product)

    @staticmethod
    def full_like(x: Tensor, value: Tensor) -> Tensor:
        """A tensor like `x` that holds a number everywhere."""
        # Keras's, on torch, reads the number back from the device.
        return ops.zeros_like(x) + value

    @staticmethod
    def choose(
        condition: Tensor,
        when_true: Callable[[], tuple[Tensor, ...]],
        when_false: Callable[[], tuple[Tensor, ...]],
    ) -> tuple[Tensor, ...]:
        """Returns what one of two functions returns, after a call of both."""
        # Branches take longer to compile than a few numbers to compute.
        return tuple(
            ops.where(condition, a, b)
            for a, b in zip(when_true(), when_false(), strict=True)
        )

    def __init__(self, epsilon: float):
        self.epsilon = epsilon

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)

    def solve_positive(self, matrix: Tensor, target: Tensor) -> Tensor:
        """Solves a system with a positive definite matrix.

        By elimination without pivoting, which such a matrix does not need.
        `ops.solve` is another algorithm on every backend: XLA's loses all
        digits on the nearly singular systems of TensorFlow, torch's reads an
        error code on the host.

        Args:
            matrix: Tensor `[..., K, K]`, diagonal about 1.
            target: Tensor `[..., K]`.

        Returns:
            Tensor `[..., K]`.
        """
        size = matrix.shape[-1]
        table = ops.concatenate([matrix, target[..., None]], axis=-1)
        for start in range(0, size, PIVOTS_AT_ONCE):
            count = min(PIVOTS_AT_ONCE, size - start)
            table = self._eliminate(table, start, count)
            # What is left of their columns is known.
            table = table[..., count:]
        return table[..., 0]

    def _eliminate(self, table: Tensor, start: int, count: int) -> Tensor:
        """Clears the first `count` columns by pivots from row `start` on."""
        num_rows = table.shape[-2]
        dtype = table.dtype

        def eliminate(place: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
            unit = ops.one_hot(start + place, num_rows, dtype=dtype)
            row = ops.take(table, start + place, axis=-2)
            column = ops.take(table, place, axis=-1)
            # Rounding errors may leave nothing of the pivot of a matrix
            # that is barely definite.
            pivot = ops.maximum(
                ops.sum(unit * column, axis=-1, keepdims=True), self.epsilon
            )
            return place + 1, table - (
                (column - unit)[..., :, None] * (row / pivot)[..., None, :]
            )

        place = ops.zeros((), dtype="int32")
        return self.while_loop(
            lambda place, table: place < count, eliminate, (place, table)
        )[1]


def machine_epsilon(tensor: Tensor) -> float:
    """Returns the relative rounding error of a tensor's dtype."""
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return float(np.finfo(dtype).eps)


def _is_float(tensor: Tensor) -> bool:
    return tensor is not None and "float" in keras.backend.standardize_dtype(
        tensor.dtype
    )


def run(function: Callable[..., Any], *tensors: Any) -> Any:
    """Calls `function(xp, *tensors)` where it is cheapest.

    Args:
        function: Takes a namespace and arrays, returns one array. It must use
            only what `HOST` and `keras.ops` both have, with fixed shapes and
            no Python branch on values.
        *tensors: Tensors; `None` is passed through. The first one's dtype is
            that of the result.

    Returns:
        A tensor of the dtype of the first tensor.
    """
    dtype = keras.backend.standardize_dtype(tensors[0].dtype)
    arrays = backend.to_host(tensors)
    if arrays is None:
        # float32 for float64 where Keras computes it so anyway, or only in
        # some functions, which loops do not take.
        inner = keras.backend.result_type(dtype)
        cast = [
            ops.cast(tensor, inner) if _is_float(tensor) else tensor
            for tensor in tensors
        ]
        result = function(Graph(machine_epsilon(cast[0])), *cast)
        return ops.cast(result, dtype)
    arrays = [
        array.astype(np.float64)
        if array is not None and array.dtype.kind == "f"
        else array
        for array in arrays
    ]
    # A float32 Gramian does not become exact by a cast to float64.
    host = SimpleNamespace(
        **{**vars(HOST), "epsilon": machine_epsilon(tensors[0])}
    )
    # Gradients that are not finite give weights that are not, which the
    # training step reports.
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        result = function(host, *arrays)
    return ops.convert_to_tensor(result, dtype=dtype)
