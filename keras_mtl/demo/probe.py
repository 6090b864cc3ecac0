"""Measurements that the demo takes between epochs."""

import time
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops


def count_conflicts(
    model: Any,
    x: np.ndarray,
    y: dict[str, np.ndarray],
    batches: Iterable[np.ndarray],
) -> int:
    """Counts the mini-batches on which the two tasks' gradients conflict.

    Two tasks conflict on a mini-batch if the inner product of their gradients
    by the shared variables is negative.

    Args:
        model: A `MultiTaskModel` with two tasks.
        x: Inputs.
        y: Labels of each task.
        batches: Arrays of positions in `x`, one for each mini-batch.
    """
    conflicts = 0
    for batch in batches:
        labels = {task: values[batch] for task, values in y.items()}
        _, gradients = model.task_gradients(x[batch], labels)
        product = sum(ops.sum(rows[0] * rows[1]) for rows in gradients.shared)
        conflicts += float(ops.convert_to_numpy(product)) < 0.0
    return conflicts


class EpochProbe(keras.callbacks.Callback):
    """Times every epoch and calls a function after it, outside that time.

    Args:
        after_epoch: Called with the epoch's logs and duration in seconds.
    """

    def __init__(self, after_epoch: Callable[[dict[str, float], float], None]):
        super().__init__()
        self.after_epoch = after_epoch
        self.start = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        # Reading the values waits for steps that are still being computed.
        values = {name: float(value) for name, value in (logs or {}).items()}
        self.after_epoch(values, time.perf_counter() - self.start)
