"""What is measured beside the tasks' metrics."""

import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.study.problem import Problem
from keras_mtl import MultiTaskModel

#: Training samples on which the gap is measured.
GAP_SAMPLES = 1000


class EpochCost(keras.callbacks.Callback):
    """Times every epoch; what comes after it is not counted.

    CPU time is what the process uses, whatever else the machine is doing.

    Args:
        after_epoch: Optional function, called after each epoch.
    """

    def __init__(self, after_epoch: Callable[[], None] | None = None):
        super().__init__()
        self.after_epoch = after_epoch
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.process_time(), time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        # Reading the loss waits for the last step.
        float(logs["loss"])
        self.cpu.append(time.process_time() - self.started[0])
        self.wall.append(time.perf_counter() - self.started[1])
        if self.after_epoch is not None:
            self.after_epoch()

    def median(self) -> dict[str, float]:
        """Returns seconds per epoch, without the first one's compiling."""
        return {
            "cpu_per_epoch": float(np.median(self.cpu[1:] or self.cpu)),
            "wall_per_epoch": float(np.median(self.wall[1:] or self.wall)),
        }


def sam_gaps(
    model: MultiTaskModel,
    models: dict[str, keras.Model],
    problem: Problem,
    rhos: Sequence[float],
) -> dict[str, float]:
    """Returns by how much the tasks' losses rise within each radius.

    The mean over tasks of `L_k(w + e_k) - L_k(w)` on training samples, where
    `e_k` has the direction of the task's gradient and the length `rho`, apart
    for shared and own variables, as in FS-MTL.

    Args:
        model: The trained model.
        models: Its part for each task that it was trained on.
        problem: What it was trained on.
        rhos: The radii.
    """
    if not rhos:
        return {}
    x, labels = keras.tree.map_structure(
        lambda array: array[:GAP_SAMPLES], problem.train
    )
    gradients = model.task_gradients(x, labels).gradients
    shared, own = model.shared_variables, model.task_variables
    sums = dict.fromkeys(rhos, 0.0)
    for index, (task, part) in enumerate(models.items()):
        inputs = ops.convert_to_tensor(problem.inputs((x, labels), task))

        def loss(inputs=inputs, task=task, part=part):
            outputs = part(inputs, training=False)
            value = problem.losses[task](labels[task], outputs)
            return float(ops.stop_gradient(value))

        before = loss()
        rows = [gradient[index] for gradient in gradients.shared]
        variables = [*shared, *own[task]]
        for rho in rhos:
            values = _moved(shared, rows, rho)
            values += _moved(own[task], gradients.own[task], rho)
            sums[rho] += _with_values(variables, values, loss) - before
    return {f"{rho:g}": total / len(models) for rho, total in sums.items()}


def _moved(
    variables: list[keras.Variable], gradients: list[Any], rho: float
) -> list[np.ndarray]:
    arrays = [ops.convert_to_numpy(gradient) for gradient in gradients]
    norm = np.sqrt(sum(np.sum(np.square(array)) for array in arrays))
    factor = rho / norm if norm > 0 else 0.0
    return [
        ops.convert_to_numpy(variable.value) + factor * array
        for variable, array in zip(variables, arrays, strict=True)
    ]


def _with_values(variables, values, function):
    """Calls a function while the variables have other values."""
    before = [ops.convert_to_numpy(it.value).copy() for it in variables]
    _assign(variables, values)
    result = function()
    _assign(variables, before)
    return result


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
