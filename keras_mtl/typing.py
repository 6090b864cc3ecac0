"""Types that many modules share."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import TypeAlias

#: A tensor of the backend in use. It is `Any` because each framework has a
#: class of its own, and others while it traces, of which none can be imported
#: where the other frameworks are installed. The name tells readers what the
#: checker cannot.
Tensor: TypeAlias = Any

#: Several of them, where a framework takes no other sequence.
Tensors: TypeAlias = list[Tensor] | tuple[Tensor, ...]

#: A `keras.Variable`, or what has its `value` and `assign`.
Variable: TypeAlias = Any

#: Array functions for solvers: `solvers.namespace.Graph`, which hands on those
#: of `keras.ops`, or NumPy's.
Namespace: TypeAlias = Any

#: Shape of a tensor.
Shape: TypeAlias = tuple[int, ...]

#: Maps values to scalar losses, and to anything else.
LossFunction: TypeAlias = Callable[[list[Tensor]], tuple[list[Tensor], Any]]

#: Maps tangents, by index of the value, to the slopes of all losses.
Pushforward: TypeAlias = Callable[[dict[int, Tensor]], Tensor]


class Pullback(Protocol):
    """Maps cotangents of losses to gradients by some of the values."""

    def __call__(
        self,
        cotangents: dict[int, Tensor],
        wanted: Sequence[int],
        last: bool = False,
    ) -> list[Tensor]: ...
