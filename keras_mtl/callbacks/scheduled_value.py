"""What callbacks that change a number by a schedule have in common."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_number


class ScheduledValue(keras.callbacks.Callback):
    """Base class of callbacks that set a number, by epochs or by steps.

    A subclass says what the number is and defines `set_value`, which is
    called once when training begins, with `None`, to find out whether there
    is anything to set.

    Args:
        schedule: Function from the number of the epoch or step to a number.
        interval: `"epoch"` or `"batch"`.
        quantity: What is set: its name in the logs and in messages.
        allowed: The interval in which it must lie, such as `"[0, inf)"`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        schedule: Callable[[int], Any],
        interval: str,
        quantity: str,
        allowed: str,
    ):
        super().__init__()
        if not callable(schedule):
            raise ValueError(
                "Argument `schedule` must be a function from the number of "
                f"the epoch or step to a {quantity}. Received: "
                f"schedule={schedule!r}"
            )
        self.schedule = schedule
        self.interval = checked_choice("interval", interval, ("epoch", "batch"))
        self._quantity = quantity
        self._allowed = allowed
        self._step = 0
        self._batches = 0
        self._value: float | None = None

    def set_value(self, value: float | None) -> None:
        """Sets the number; with `None` only checks that there is one to set.

        What belongs to the model must be reached by `self.model`: on JAX,
        reading that property brings the model's variables up to date, and has
        the next step start from them.
        """
        raise NotImplementedError

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._step = 0
        self.set_value(None)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._batches = 0
        if self.interval == "epoch":
            self._follow(epoch)

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self.interval == "batch":
            self._follow(self._step + batch)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._batches = batch + 1

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._step += self._batches
        if logs is not None:
            logs[self._quantity] = self._value

    def _follow(self, count: int) -> None:
        value = self.schedule(count)
        if ops.is_tensor(value):
            value = ops.convert_to_numpy(value).item()
        value = checked_number(f"schedule({count})", value, self._allowed)
        self.set_value(value)
        self._value = value
