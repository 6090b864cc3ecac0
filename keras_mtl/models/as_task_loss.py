"""An entry of `compile(loss=...)` as the loss of a task."""

from collections.abc import Sequence
from typing import Any

from keras_mtl.losses.task import Task
from keras_mtl.losses.task import takes_by_name
from keras_mtl.models.argument_loss import ArgumentLoss
from keras_mtl.models.loss_functions import as_loss
from keras_mtl.models.task_loss import Names
from keras_mtl.models.task_loss import OutputLoss
from keras_mtl.models.task_loss import Reads
from keras_mtl.models.task_loss import TaskLoss
from keras_mtl.models.task_loss import as_tuple
from keras_mtl.registry import unknown_name


def as_task(entry: Any) -> Any:
    """A function that is called by names as a `Task`, all else as it is."""
    return Task(entry) if takes_by_name(entry) else entry


def as_task_loss(
    task: str, entry: Any, outputs: Sequence[str] | None
) -> TaskLoss:
    """Returns the loss of a task.

    Args:
        task: Its name.
        entry: A `keras_mtl.losses.Task`, or what Keras takes as the loss of
            an output.
        outputs: Names of the model's outputs, or `None` where they are not
            known before the first call.

    Raises:
        ValueError: If it names what there is not, or nothing to train.
    """
    if not isinstance(entry, Task):
        return OutputLoss(task, Reads(task, task), as_loss(task, entry))
    arguments = entry.arguments
    if arguments is None:
        arguments = ("y_true", "y_pred")
    sees_outputs = "y_pred" in arguments
    calls_model = "model" in arguments
    if not sees_outputs and not calls_model:
        raise ValueError(
            f"The loss of task {task!r} depends on no weights: let its "
            "function take `y_pred`, the outputs, or `model`, to call it. It "
            f"takes: {', '.join(arguments)}."
        )
    names = _outputs(task, entry.outputs, outputs)
    labels: Names = ()
    if "y_true" in arguments:
        labels = _either(entry.labels, entry.data, names)
    reads = Reads(
        names if isinstance(names, str) else tuple(names),
        labels if isinstance(labels, str) else tuple(labels),
        entry.data,
        sees_outputs,
        calls_model,
    )
    # In this order, as Keras calls losses: labels may miss by parts.
    if arguments == ("y_true", "y_pred") and isinstance(names, str):
        if isinstance(labels, str):
            return OutputLoss(task, reads, as_loss(task, entry.function))
    if entry.arguments is None:
        raise ValueError(
            f"The loss of task {task!r} is one of Keras, which takes one "
            "output and its labels. Give it a single name as `outputs` and as "
            "`labels`, or write a function of `y_true` and `y_pred`. Received: "
            f"outputs={entry.outputs!r}, labels={entry.labels!r}."
        )
    return ArgumentLoss(task, reads, entry.function, arguments)


def _either(*names: Any) -> Any:
    return next(name for name in names if name is not None)


def _outputs(task: str, given: Any, known: Sequence[str] | None) -> Names:
    """The outputs that a task is of."""
    if given is not None:
        for name in as_tuple(given):
            if known is not None and name not in known:
                raise unknown_name(f"output of task {task!r}", name, known)
        if not given:
            raise ValueError(
                f"Task {task!r} has no outputs, and so nothing to train. Name "
                f"them: `Task(function, outputs=...)`. Received: {given!r}."
            )
        return given
    if known is None or task in known:
        return task
    if len(known) == 1:
        return known[0]
    raise ValueError(
        f"Task {task!r} is none of the outputs ({', '.join(known)}). Say "
        "which of them its loss is of: `keras_mtl.losses.Task(function, "
        f"outputs={known[0]!r})`, or a list for several."
    )
