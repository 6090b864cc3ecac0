"""Radii of the flatness regularizer that change during training."""

from collections.abc import Callable
from typing import Any

from keras_mtl.arguments import checked_choice
from keras_mtl.callbacks.scheduled_value import ScheduledValue
from keras_mtl.export import keras_mtl_export

RADII = ("rho", "head_rho")


@keras_mtl_export("keras_mtl.callbacks.RhoScheduler")
class RhoScheduler(ScheduledValue):
    """Sets the radius of the perturbation, epoch by epoch or step by step.

    Sets `model.strategy.flatness.rho`, for example from 0, plain training, up
    while the weights still move fast. The new radius holds from the next step
    on; nothing is compiled again. The radius of an epoch is in its logs under
    the name of the argument.

    A `LearningRateSchedule` handed to the regularizer itself does the same by
    the optimizer's steps. This callback takes any function, knows epochs, and
    works without changing the strategy. The two cannot be mixed.

    Args:
        schedule: Function from the number of the epoch, or of the step, from
            0 on, to a non-negative number; a
            `keras.optimizers.schedules.LearningRateSchedule` is one.
        interval: `"epoch"` or `"batch"`: how often to set the radius. Steps
            count on over epochs, from the start of `fit`; with
            `steps_per_execution` above 1, the steps of one execution share
            the radius of the first. Defaults to `"epoch"`.
        argument: `"rho"`, or `"head_rho"` for the radius of the tasks' own
            variables, where the regularizer was given one. Defaults to
            `"rho"`.

    Raises:
        ValueError: If an argument is out of range; in `fit`, if the model's
            strategy has no flatness regularizer, if the regularizer's radius
            follows a schedule of its own, or if `schedule` gives a negative
            number.

    Example:

    ```python
    warm_up = keras_mtl.callbacks.RhoScheduler(
        lambda epoch: 0.05 * min(epoch / 5, 1.0)
    )
    ```
    """

    def __init__(
        self,
        schedule: Callable[[int], Any],
        interval: str = "epoch",
        argument: str = "rho",
    ):
        self.argument = checked_choice("argument", argument, RADII)
        super().__init__(schedule, interval, self.argument, "[0, inf)")

    def set_value(self, value: float | None) -> None:
        strategy = getattr(self.model, "strategy", None)
        flatness = getattr(strategy, "flatness", None)
        if flatness is None:
            raise ValueError(
                "RhoScheduler found no flatness regularizer: the model must "
                'be compiled with a strategy that has one, such as "fs_mtl" '
                "or keras_mtl.Strategy(flatness="
                "keras_mtl.flatness.TaskSAM()). "
                f"Received: strategy={strategy}"
            )
        if value is not None:
            setattr(flatness, self.argument, value)
