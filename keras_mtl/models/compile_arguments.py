"""What `compile` was told."""

import dataclasses
from typing import Any

import keras

from keras_mtl.models.resolve_losses import as_numbers


@dataclasses.dataclass(frozen=True)
class CompileArguments:
    """The arguments of `compile` that are kept as they were given.

    Attributes:
        loss: As given.
        loss_weights: As given.
        metrics: As given.
        weighted_metrics: As given.
        on_nonfinite: `"raise"`, `"skip"` or `"ignore"`.
        check: `"first"` or `"never"`.
    """

    loss: Any = None
    loss_weights: Any = None
    metrics: Any = None
    weighted_metrics: Any = None
    on_nonfinite: str = "raise"
    check: str = "first"

    def get_config(self) -> dict[str, Any]:
        """Returns them in the form of Keras's configs."""
        serialize = keras.saving.serialize_keras_object
        return {
            "loss": serialize(self.loss),
            "loss_weights": serialize(as_numbers(self.loss_weights)),
            "metrics": serialize(self.metrics),
            "weighted_metrics": serialize(self.weighted_metrics),
            "on_nonfinite": self.on_nonfinite,
            "check": self.check,
        }
