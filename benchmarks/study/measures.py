"""What is measured beside the tasks' metrics."""

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


def mean_accuracy(record: dict[str, Any], split: str) -> float:
    """Returns the mean of the tasks' accuracies."""
    return float(np.mean([task["accuracy"] for task in record[split].values()]))


def chosen_rho(records: list[dict[str, Any]]) -> float:
    """Returns the radius with the best mean accuracy on validation samples.

    Of equal ones the smallest.
    """
    ordered = sorted(records, key=lambda record: record["rho"])
    return max(ordered, key=lambda it: mean_accuracy(it, "validation"))["rho"]


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

        def loss(
            inputs: Any = inputs, task: str = task, part: keras.Model = part
        ) -> float:
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


def _with_values(
    variables: list[keras.Variable],
    values: list[np.ndarray],
    function: Callable[[], float],
) -> float:
    """Calls a function while the variables have other values."""
    before = [ops.convert_to_numpy(it.value).copy() for it in variables]
    _assign(variables, values)
    result = function()
    _assign(variables, before)
    return result


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
