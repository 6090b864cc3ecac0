"""Measurements that the demo takes between epochs."""

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


def conflict_ratio(
    model: Any, x: np.ndarray, y: dict[str, np.ndarray], batch_size: int
) -> float:
    """Share of mini-batches on which the two tasks' gradients conflict.

    Two tasks conflict on a mini-batch if the inner product of their gradients
    by the shared variables is negative.
    """
    conflicts = []
    for start in range(0, len(x) - batch_size + 1, batch_size):
        part = slice(start, start + batch_size)
        labels = {task: values[part] for task, values in y.items()}
        _, gradients = model.task_gradients(x[part], labels)
        product = sum(ops.sum(rows[0] * rows[1]) for rows in gradients.shared)
        conflicts.append(float(ops.convert_to_numpy(product)) < 0.0)
    return float(np.mean(conflicts))


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
