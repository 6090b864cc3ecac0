"""Labels that are missing: NaN where a number belongs.

Eager operations and small ones in a graph cost about the same whatever their
size, so labels of one shape are looked at together. XLA compiles what is alike
for several tasks once, but not if each takes its part out of a stack.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl import backend
from keras_mtl.typing import Tensor


def may_miss(label: Any) -> bool:
    """Whether a label can hold NaN, the mark of a missing one."""
    return "float" in keras.backend.standardize_dtype(label.dtype)


def check_any_labelled(labels: dict[str, Any]) -> None:
    """Raises `ValueError` if no sample of any task has a label.

    Args:
        labels: Labels by task; those that are no NumPy arrays are taken for
            complete.
    """
    if labels and all(
        isinstance(label, np.ndarray)
        and label.size
        and np.issubdtype(label.dtype, np.floating)
        and np.isnan(label).all()
        for label in labels.values()
    ):
        raise ValueError(
            "Every label of every task is NaN, which means that it is "
            "missing: there is nothing to learn. Check how `y` was made; each "
            f"of the tasks {', '.join(map(repr, labels))} needs labels for "
            "some samples."
        )


def check_label(task: str, label: Any) -> None:
    """Raises `ValueError` for labels of no samples, and for texts."""
    if isinstance(label, np.ndarray) and label.dtype.kind in "OSU":
        raise ValueError(
            f"The labels of task {task!r} must be numbers. Received: an array "
            f"of {label.dtype}. Number the classes, for instance by "
            "`keras.layers.StringLookup` or `numpy.unique(labels, "
            "return_inverse=True)`."
        )
    shape: Any = getattr(label, "shape", ())
    if len(shape) > 0 and shape[0] == 0:
        raise ValueError(
            f"There are no samples of task {task!r}: its labels have shape "
            f"{tuple(shape)}. A batch needs at least one: leave out those "
            "without."
        )


def are_complete(labels: list[Any]) -> bool:
    """Whether labels hold no NaN, where their values can be read."""
    found = backend.to_host([backend.all_finite(labels)])
    return found is not None and bool(found[0])


def is_by_sample(label: Any, output: Any) -> bool:
    """Whether the last dimension of a label holds parts of one label.

    Args:
        label: Tensor.
        output: The output that it is for, or `None`.
    """
    rank = len(label.shape)
    return rank > 1 and (output is None or rank == len(output.shape))


def fill_missing(
    labels: dict[str, Any],
    by_sample: dict[str, bool],
    losses: Mapping[str, Any],
    one_batch: bool = True,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Replaces NaN labels before the loss and gives them weight 0.

    A weight of 0 alone would not do: NaN times 0 is NaN, in the loss and in
    its gradient. The loss is the mean over the labelled samples.

    Args:
        labels: Labels by task.
        by_sample: By task, whether the last dimension holds parts of one
            label.
        losses: What has a `reduction`, such as losses, by task.
        one_batch: Whether all tasks have the same number of samples, known or
            not. Defaults to `True`.

    Returns:
        `(labels, weights)` by task.
    """

    def kind(task: str) -> tuple[bool, bool]:
        return by_sample[task], takes_mean(losses[task])

    filled, weights = {}, {}
    if not backend.STACKS_LABELS:
        for task, label in labels.items():
            filled[task], weights[task] = _fill(label, *kind(task))
        return filled, weights
    for tasks in _alike(labels, one_batch, kind):
        label, weight = _fill(_stack(labels, tasks), *kind(tasks[0]), 1)
        filled.update(_unstack(label, tasks))
        weights.update(_unstack(weight, tasks))
    return filled, weights


def _fill(
    label: Tensor, by_sample: bool, is_mean: bool, first_axis: int = 0
) -> tuple[Tensor, Tensor]:
    """Returns a label without NaN, and its weight in a loss.

    Args:
        label: Tensor.
        by_sample: Whether the last dimension holds parts of one label.
        is_mean: Whether the loss is a mean.
        first_axis: That of the samples.
    """
    label, weight = without_missing(label, by_sample)
    if is_mean:
        axes = tuple(range(first_axis, len(weight.shape)))
        weight = of_mean_1(weight, axes)
    return label, weight


def without_missing(label: Any, by_sample: bool) -> tuple[Any, Any]:
    """Returns a label with 0 for NaN, and weights that are 0 there."""
    missing = ops.isnan(label)
    label = ops.where(missing, ops.zeros_like(label), label)
    if by_sample:
        missing = ops.any(missing, axis=-1)
    return label, ops.cast(ops.logical_not(missing), keras.config.floatx())


def takes_mean(loss: Any) -> bool:
    """Whether a loss is a mean over samples, not a sum."""
    return loss.reduction in ("mean", "sum_over_batch_size")


def of_mean_1(weight: Any, axes: tuple[int, ...]) -> Any:
    """Divides weights by their mean over some axes, if that is not 0."""
    share = ops.mean(weight, axis=axes, keepdims=True)
    return weight / ops.where(share > 0, share, ops.ones_like(share))


def _alike(
    labels: Mapping[str, Tensor],
    one_batch: bool,
    kind: Callable[[str], Any] = lambda task: None,
) -> list[list[str]]:
    """Groups of tasks with labels of one shape, dtype and kind."""
    groups: dict[Any, list[str]] = {}
    for task, label in labels.items():
        dtype = keras.backend.standardize_dtype(label.dtype)
        # On TensorFlow, a size that is not known may be any other.
        alone = None if one_batch or label.shape[0] is not None else task
        key = (tuple(label.shape), dtype, kind(task), alone)
        groups.setdefault(key, []).append(task)
    return list(groups.values())


def _stack(labels: Mapping[str, Tensor], tasks: list[str]) -> Tensor:
    return ops.stack([labels[task] for task in tasks])


def _unstack(tensor: Tensor, tasks: list[str]) -> dict[str, Tensor]:
    return {task: tensor[k] for k, task in enumerate(tasks)}


def like_rank(tensor: Tensor, rank: int) -> Tensor:
    """Adds last dimensions of 1, or drops them, up to a rank."""
    while len(tensor.shape) > rank and tensor.shape[-1] == 1:
        tensor = ops.squeeze(tensor, axis=-1)
    while len(tensor.shape) < rank:
        tensor = ops.expand_dims(tensor, axis=-1)
    return tensor
