"""Temperatures that change during training."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.callbacks.scheduled_value import ScheduledValue
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.callbacks.TemperatureSchedule")
class TemperatureSchedule(ScheduledValue):
    """Sets the temperature of random choices, epoch by epoch or step by step.

    For `keras_mtl.layers.LearningToBranch`, and for layers of your own that
    hold a temperature in a non-trainable variable of that name. Begin high,
    so that all choices are tried, and end low, so that what is trained is
    close to what inference does. The temperature of an epoch is in its logs.

    Args:
        schedule: Function from the number of the epoch, or of the step, from
            0 on, to a positive number; a
            `keras.optimizers.schedules.LearningRateSchedule` is one.
        interval: `"epoch"` or `"batch"`: how often to set the temperature.
            Steps count on over epochs, from the start of `fit`. Defaults to
            `"epoch"`.
        layers: List of the layers to set it for. Defaults to `None`: all
            that the model has.

    Raises:
        ValueError: If an argument is out of range; in `fit`, if there is no
            temperature to set, or `schedule` gives no positive number.

    Example:

    ```python
    cooling = keras_mtl.callbacks.TemperatureSchedule(
        lambda epoch: max(5.0 * 0.9**epoch, 0.1)
    )
    by_step = keras_mtl.callbacks.TemperatureSchedule(
        keras.optimizers.schedules.PolynomialDecay(5.0, 1000, 0.1),
        interval="batch",
    )
    ```
    """

    def __init__(
        self,
        schedule: Callable[[int], Any],
        interval: str = "epoch",
        layers: Sequence[keras.layers.Layer] | None = None,
    ):
        super().__init__(schedule, interval, "temperature", "(0, inf)")
        self.layers = layers

    def set_value(self, value: float | None) -> None:
        for variable in self._temperatures():
            if value is not None:
                variable.assign(value)

    def _temperatures(self) -> list[keras.Variable]:
        """Returns the variables to set, or raises `ValueError`."""
        model = self.model
        owners = [model] if self.layers is None else self.layers
        found = [
            variable
            for owner in owners
            for variable in owner.non_trainable_variables
            if variable.name == "temperature"
        ]
        if not found:
            raise ValueError(
                "TemperatureSchedule found no temperature to set: "
                f"{'the model' if self.layers is None else '`layers`'} must "
                "have a layer such as keras_mtl.layers.LearningToBranch, with "
                "a non-trainable variable called 'temperature'."
            )
        return found
