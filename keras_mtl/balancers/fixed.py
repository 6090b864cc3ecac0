"""Fixed task weights."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_preference
from keras_mtl.balancers.balancer import Balancer
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor


class Reading(float):
    """The current value of a variable, in a config.

    A number to who writes it to a file; who makes another component of the
    config in the same process, such as a model that needs one of its own,
    finds the variable.
    """

    source: Any = None

    @classmethod
    def of(cls, source: Any, value: float) -> "Reading":
        """Returns a value that was read from `source`."""
        reading = cls(value)
        reading.source = source
        return reading


def sources(weights: Tensor) -> Any:
    """Returns weights with variables in place of what was read from them."""
    if not isinstance(weights, (list, tuple)):
        return weights
    found: list[Any] = [getattr(weight, "source", weight) for weight in weights]
    for source in found[:1]:
        if is_variable(source) and len(source.shape) > 0:
            return source
    return found


class GivenWeights:
    """Weights of which some are variables of the user's.

    An object of its own: what a layer holds itself is saved with the model,
    and the user's variables are not a part of it.

    Args:
        weights: Numbers and scalar variables, or one variable `[K]`.
    """

    def __init__(self, weights: Tensor):
        self.weights = weights
        parts = [weights] if is_variable(weights) else list(weights)
        self.variables = [part for part in parts if is_variable(part)]
        if not is_variable(weights) and any(
            len(variable.shape) for variable in self.variables
        ):
            raise ValueError(
                "Argument `weights` takes variables that are scalars, or one "
                "variable with one entry per task. Received: weights="
                f"{weights}"
            )
        # All of them may be 0 for a while.
        checked_preference("weights", [1.0, *self.numbers()], optional=False)

    def numbers(self) -> list[float]:
        """The current values."""
        arrays = backend.to_host([v.value for v in self.variables])
        if is_variable(self.weights):
            return [Reading.of(self.weights, v) for v in arrays[0].reshape(-1)]
        values = iter(arrays)
        return [
            Reading.of(part, next(values)) if is_variable(part) else part
            for part in self.weights
        ]

    def tensor(self, dtype: str) -> Tensor:
        """The values within a step, `[K]`; NaN for negative ones."""
        if is_variable(self.weights):
            values = ops.cast(ops.convert_to_tensor(self.weights), dtype)
        else:
            values = ops.stack(
                [
                    ops.cast(ops.convert_to_tensor(part), dtype)
                    for part in self.weights
                ]
            )
        return ops.where(values < 0, float("nan"), values)


def is_variable(value: Any) -> bool:
    """Whether a value is a `keras.Variable`."""
    return isinstance(value, keras.Variable)


@keras_mtl_export("keras_mtl.balancers.Fixed")
class Fixed(Balancer):
    """Weighs the tasks by given numbers: `S = sum_k weights_k loss_k`.

    Unlike `loss_weights` of `compile`, these weights are part of the strategy
    and leave the reported `loss` as it is.

    A `keras.Variable` among them is read in every step: what a callback, say,
    assigns to it counts from then on. It stays the user's: it is not saved,
    and a config has its current value as a number.

    Args:
        weights: One non-negative number or scalar `keras.Variable` per task,
            in the order of `model.tasks`, or one `keras.Variable` of as many
            entries.
        **kwargs: Passed on to `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If a weight is negative or not finite, if all are 0 and
            none is a variable, or if their number is not the number of tasks.

    Example:

    ```python
    keras_mtl.balancers.Fixed([1.0, 0.25])([0.5, 2.0])  # [1.0, 0.25]
    ```
    """

    elementwise = True

    def __init__(self, weights: Sequence[Any] | keras.Variable, **kwargs: Any):
        super().__init__(**kwargs)
        self.given: GivenWeights | None = None
        self._numbers: tuple[float, ...] | None = None
        weights = sources(weights)
        if is_variable(weights) or (
            isinstance(weights, (list, tuple))
            and any(is_variable(part) for part in weights)
        ):
            self.given = GivenWeights(weights)
        else:
            self._numbers = checked_preference(
                "weights", weights, optional=False
            )

    @property
    def task_weights(self) -> tuple[float, ...]:
        """The weights, as they are now."""
        if self.given is None:
            return self._numbers or ()
        return tuple(self.given.numbers())

    @property
    def data_variables(self) -> list[Any]:
        return [] if self.given is None else self.given.variables

    def build_state(self, num_tasks: int, dtype: str) -> None:
        check_size("weights", self.task_weights, num_tasks)

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        if self.given is not None:
            return self.given.tensor(losses.dtype)
        return ops.convert_to_tensor(self._numbers, dtype=losses.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weights": list(self.task_weights)}
