"""Balancers that learn one number per task along with the model."""

from typing import Any

import keras
from keras import ops

from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_number
from keras_mtl.balancers.balancer import Balancer
from keras_mtl.solvers.adam import adam_state
from keras_mtl.solvers.adam import adam_update
from keras_mtl.typing import Tensor

OPTIMIZERS = ("adam", "sgd")

#: Learned numbers stay in this range either way: their exponentials, times a
#: loss, are finite in float32. The logarithm of 1e15 is 34.5.
LIMIT = 40.0

#: Gradients are cut here, so that Adam can square them in float32.
LARGEST_GRADIENT = 1e15


class LearnedBalancer(Balancer):
    """Base class of balancers with one learned number `s_k` per task.

    The numbers are no weights of the model: they have an update rule of their
    own and move in the same training step, for the same losses. Subclasses
    implement `weights_and_gradient(losses, values)`.

    Args:
        initial_value: The numbers at the start.
        learning_rate: Step size of their updates.
        optimizer: `"adam"` or `"sgd"`.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.
    """

    def __init__(
        self,
        initial_value: float,
        learning_rate: float,
        optimizer: str,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.initial_value = checked_number(
            "initial_value", initial_value, f"[-{LIMIT:g}, {LIMIT:g}]"
        )
        self.learning_rate = checked_number("learning_rate", learning_rate)
        self.optimizer = checked_choice("optimizer", optimizer, OPTIMIZERS)

    def build_state(self, num_tasks: int, dtype: str) -> None:
        settings = ("values", (num_tasks,), dtype, self.initial_value)
        if self.optimizer == "adam":
            self.state = adam_state(self, *settings)
        else:
            self.state = (self.add_state(*settings),)

    @property
    def values(self) -> keras.Variable:
        """The learned numbers, one per task."""
        return self.state[0]

    def weights_and_gradient(
        self, losses: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the derivatives of the scalarised loss.

        Args:
            losses: Tensor `[K]` of task losses, 0 for absent tasks.
            values: Tensor `[K]` of the learned numbers.

        Returns:
            `(weights, gradient)`, by the losses and by the values.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not implement `weights_and_gradient`."
        )

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        values = ops.convert_to_tensor(self.values)
        own_losses = ops.cast(losses, values.dtype)
        if mask is not None:
            own_losses = ops.where(mask > 0, own_losses, 0.0)
        weights, gradient = self.weights_and_gradient(own_losses, values)
        weights = ops.cast(weights, losses.dtype)
        self._learn(
            values,
            ops.clip(gradient, -LARGEST_GRADIENT, LARGEST_GRADIENT),
            mask,
        )
        return weights

    def _learn(
        self, values: Tensor, gradient: Tensor, mask: Tensor | None
    ) -> None:
        if self.optimizer == "sgd":
            stepped = values - self.learning_rate * gradient
            if mask is not None:
                stepped = ops.where(mask > 0, stepped, values)
            self.values.assign(ops.clip(stepped, -LIMIT, LIMIT))
        else:
            adam_update(
                self.state,
                gradient,
                self.learning_rate,
                mask=mask,
                limit=LIMIT,
            )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_value": self.initial_value,
            "learning_rate": self.learning_rate,
            "optimizer": self.optimizer,
        }
