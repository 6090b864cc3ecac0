"""Derivatives of a model's outputs by its inputs."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.arguments import checked_integer
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable


@keras_mtl_export("keras_mtl.derivative")
def derivative(
    function: Callable[[Tensor], Tensor],
    x: Any,
    order: int = 1,
    by: int | Sequence[int] | None = None,
) -> Tensor:
    """Returns derivatives of a function of samples by the samples.

    The same on TensorFlow, JAX and torch, compiled or not. What comes out can
    be differentiated further: by the weights of a model, as a loss needs it,
    or by another `derivative`, which gives mixed ones:
    `derivative(lambda p: derivative(u, p, by=0), x, by=1)`. Gradients are on,
    in `evaluate` and `predict` as well.

    Nothing is kept of the calls of the function: statistics and seeds of its
    layers stay as they are. Each sample of its result must depend on that
    sample alone, which `BatchNormalization` in training does not.

    Args:
        function: Maps a tensor of the shape of `x` to `[n]` or `[n, m]`, such
            as the `model` that the loss of a `keras_mtl.losses.Task` gets.
        x: Where: a tensor `[n, d]` or `[n]` of floating point numbers. It may
            have more dimensions for whole gradients of first order, of a
            function with one value per sample.
        order: How often to differentiate by the same coordinate. Defaults to
            `1`.
        by: A coordinate, by its index in the last dimension of `x`, or a list
            of them. Defaults to `None`: all.

    Returns:
        For one coordinate, a tensor of the shape of the function's result. For
        several they lie along a last dimension, which is added: `[n, m, d]`,
        or `[n, d]` for one value per sample, whether it is `[n]` or `[n, 1]`.
        With `order=2`, the sum over it is the Laplacian. If `x` is `[n]`, it
        is one coordinate.

    Raises:
        ValueError: If the function does not depend on `x`, or if its result,
            `x` or another argument is not as described.

    Example:

    ```python
    x = np.array([[1.0, 2.0], [3.0, 4.0]], dtype="float32")

    def cubes(x):
        return x[:, 0] ** 3 * x[:, 1]

    keras_mtl.derivative(cubes, x)  # [[6, 1], [108, 27]]
    keras_mtl.derivative(cubes, x, order=2, by=0)  # [12, 72]
    keras_mtl.derivative(cubes, x, order=2).sum(-1)  # the Laplacian
    ```
    """
    checked_integer("order", order)
    x = ops.convert_to_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    if "float" not in dtype:
        raise ValueError(
            "`derivative` differentiates by floating point numbers: give it "
            f"`keras.ops.cast(x, 'float32')`. Received: x of dtype {dtype}."
        )
    rank = len(x.shape)
    if rank > 2 and order == 1 and by is None:
        return _found(backend.sample_gradient(_aside(function, 1), x))
    if rank not in (1, 2):
        raise ValueError(
            "`derivative` takes `x` of shape [n, d] or [n]; of more "
            "dimensions with `order=1` and `by=None` alone. Received: x of "
            f"shape {tuple(x.shape)}, order={order}, by={by!r}."
        )
    inner = _aside(function)
    if rank == 2:
        columns, is_one = _columns(by, x.shape[1])
        found = backend.sample_derivatives(inner, x, int(order), columns)
    else:
        columns, is_one = _columns(0 if by is None else by, 1)
        found = backend.sample_derivatives(
            lambda at: inner(at[:, 0]),
            ops.expand_dims(x, axis=-1),
            int(order),
            columns,
        )
    found = _found(found)
    if is_one:
        return found[0]
    if all(size == 1 for size in found[0].shape[1:]):
        found = [ops.reshape(part, (-1,)) for part in found]
    return ops.stack(found, axis=-1)


def _columns(by: Any, size: int) -> tuple[list[int], bool]:
    """Indices of coordinates, and whether one was asked for."""
    if by is None:
        return list(range(size)), False
    is_one = not isinstance(by, (list, tuple))
    columns = [by] if is_one else list(by)
    if not columns or not all(
        isinstance(column, int) and -size <= column < size for column in columns
    ):
        raise ValueError(
            "Argument `by` must be the index of a coordinate, or a list of "
            f"indices, from 0 to {size - 1}. Received: by={by!r}."
        )
    return [column % size for column in columns], is_one


def _found(found: Any) -> Any:
    if found is None:
        raise ValueError(
            "The function that `derivative` was given does not depend on `x`: "
            "there is no way for gradients from its result to its argument. "
            "Compute the result from the argument of the function, as in "
            "`derivative(lambda x: model(x), inputs)`, not from a tensor that "
            "was made before, and without `stop_gradient` or rounding. What "
            "is constant has the derivative 0: leave that term out."
        )
    return found


def _aside(
    function: Callable[[Tensor], Tensor], most: int | None = None
) -> Callable[[Tensor], Tensor]:
    """The function, of whose calls nothing is kept, with its result checked.

    Args:
        function: A function of samples.
        most: How many values it may have per sample, or `None` for any.
    """

    def call(x: Tensor) -> Tensor:
        with _Aside():
            result = function(x)
        if keras.tree.is_nested(result) or not hasattr(result, "shape"):
            raise ValueError(
                "The function that `derivative` is given must return one "
                f"tensor. Received: {type(result).__name__}. Of a model with "
                "several outputs take one: `lambda x: model(x)['name']`."
            )
        shape = tuple(result.shape)
        sizes = x.shape[0], *shape[:1]
        if (
            len(shape) not in (1, 2)
            or (None not in sizes and sizes[0] != sizes[-1])
            or (most is not None and shape[1:] not in ((), (most,)))
        ):
            raise ValueError(
                "The function that `derivative` is given must return a value "
                "for each sample, [n] or "
                + (f"[n, {most}]" if most else "[n, m]")
                + f". Received: shape {shape} for x of shape "
                f"{tuple(x.shape)}."
            )
        return result

    return call


class _Aside(keras.StatelessScope):
    """A scope in which variables are what they are outside, and stay so.

    What layers assign within a derivative belongs to its computation, and
    cannot be kept outside of it.
    """

    def __init__(self) -> None:
        super().__init__(collect_losses=True)

    def get_current_value(self, variable: Variable) -> Tensor | None:
        value, scope = super().get_current_value(variable), self.original_scope
        while value is None and scope is not None:
            value = scope.get_current_value(variable)
            scope = scope.original_scope
        return value
