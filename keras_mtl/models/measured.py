"""What metrics see of a batch: labels and outputs of the same names."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.models.task_losses import TaskLosses


def measured_outputs(
    losses: TaskLosses, y: Any, y_pred: dict[str, Any], metrics: Sequence[Any]
) -> dict[str, Any]:
    """Returns labels for all outputs, which Keras wants to see.

    Args:
        losses: The losses of the model.
        y: Labels of a batch, as they were given.
        y_pred: Outputs by name.
        metrics: What `compile` was given as metrics, in each argument.

    Raises:
        ValueError: If there are metrics of an output without labels.
    """
    given = y
    if isinstance(y, (list, tuple)):
        given = dict(zip(y_pred, y, strict=True))
    elif not isinstance(y, dict):
        given = losses.given.labels_by_name(y)
    labels = {}
    for name, output in y_pred.items():
        label = given.get(name)
        if label is None:
            label = _label_of(losses, given, name)
        if label is None and _is_measured(metrics, name, list(y_pred)):
            raise _no_label("output", name)
        # Nobody looks at it.
        labels[name] = output if label is None else label
    return labels


def measured_tasks(
    losses: TaskLosses, y: Any, y_pred: dict[Any, Any], metrics: Sequence[Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns labels and outputs by task, where tasks have their own samples.

    Args:
        losses: As for `measured_outputs`.
        y: As for `measured_outputs`.
        y_pred: Outputs by name, by `data` of the tasks.
        metrics: As for `measured_outputs`.
    """
    by_task = losses.given.labels(y)
    labels, outputs = {}, {}
    for task, loss in losses.losses.items():
        reads = loss.reads
        if isinstance(reads.labels, str) and isinstance(reads.outputs, str):
            labels[task] = by_task[task]
            outputs[task] = y_pred[reads.data][reads.outputs]
            continue
        if _is_measured(metrics, task, losses.tasks):
            raise _no_label("task", task)
        labels[task] = outputs[task] = ops.zeros((1, 1))
    return labels, outputs


def _label_of(losses: TaskLosses, given: Any, output: str) -> Any:
    """The labels of a task of an output, if its tasks have the same."""
    names = {
        loss.reads.labels
        for loss in losses.losses.values()
        if loss.reads.outputs == output and isinstance(loss.reads.labels, str)
    }
    return given.get(names.pop()) if len(names) == 1 else None


def _is_measured(metrics: Sequence[Any], name: str, names: list[str]) -> bool:
    """Whether something of a name has metrics."""
    for argument in metrics:
        if isinstance(argument, dict):
            argument = argument.get(name)
        elif argument and len(names) > 1 and len(argument) == len(names):
            argument = argument[names.index(name)]
        if argument:
            return True
    return False


def _no_label(kind: str, name: str) -> ValueError:
    return ValueError(
        f"There are metrics of {kind} {name!r}, which has no single output "
        "with labels. Give the labels in `y`, or leave its metrics out: "
        "`metrics={...}` is a dict by name."
    )
