"""What `compile` was given as losses, by task."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.arguments import checked_number
from keras_mtl.losses.task import Task
from keras_mtl.models.as_task_loss import as_task
from keras_mtl.models.as_task_loss import as_task_loss
from keras_mtl.models.by_output import by_name
from keras_mtl.models.task_loss import TaskLoss


def as_tasks(loss: Any) -> Any:
    """Returns the losses, with a `Task` around functions that need one.

    Args:
        loss: Argument of `compile`.
    """
    if isinstance(loss, dict) and "class_name" not in loss:
        return {name: as_task(entry) for name, entry in loss.items()}
    if isinstance(loss, (list, tuple)):
        return [as_task(entry) for entry in loss]
    return as_task(loss)


def resolve_losses(
    loss: Any, loss_weights: Any, names: Sequence[str] | None
) -> tuple[dict[str, TaskLoss], dict[str, Any]]:
    """Returns what `compile` was given as losses, by task.

    Args:
        loss: What `as_tasks` has returned.
        loss_weights: Argument of `compile`.
        names: Names of the model's outputs in order, or `None` where they
            are not known before the first call.

    Returns:
        By task, in the order of the outputs if that is what they all are, its
        `TaskLoss`, and its weight: a number, a `keras.Variable` or `None`.

    Raises:
        ValueError: If names do not fit the outputs, or there is no loss.
    """
    if loss is None:
        return {}, {}
    if names is None and not isinstance(loss, dict):
        raise ValueError(
            "The losses of a subclassed MultiTaskModel must be a dict "
            f"by task name. Received: loss={loss!r}."
        )
    by_task = _by_task(loss, list(loss) if names is None else names)
    found = {
        task: as_task_loss(task, entry, names)
        for task, entry in by_task.items()
        if entry is not None
    }
    if not found:
        raise ValueError(
            "Every loss is None, so there is nothing to train. Give at "
            f"least one output a loss. Received: loss={loss!r}."
        )
    if isinstance(loss, dict) and names is not None:
        _check_complete(loss, found, names)
    _check_samples(found)
    weights = _weights(loss_weights, by_task)
    return found, {
        task: _weight_of(task, by_task[task], weights.get(task))
        for task in found
    }


def _by_task(loss: Any, names: Sequence[str]) -> dict[str, Any]:
    """The entries of `loss` by task, in the order of the tasks."""
    if not isinstance(loss, dict):
        return by_name("loss", loss, names)
    others = [
        name
        for name, entry in loss.items()
        if name not in names and isinstance(entry, Task)
    ]
    by_output = by_name(
        "loss", {k: v for k, v in loss.items() if k not in others}, names
    )
    if not others:
        return by_output
    return dict(loss)


def _check_complete(
    loss: dict[str, Any], found: dict[str, TaskLoss], names: Sequence[str]
) -> None:
    used = {name for it in found.values() for name in it.reads.output_names}
    left_out = [name for name in names if name not in {*loss, *used}]
    if left_out:
        raise ValueError(
            f"There is no loss for {', '.join(map(repr, left_out))}. "
            "Give each output a loss, or None to keep it as an output "
            "that is not trained: "
            f"`loss={{..., {left_out[0]!r}: None}}`."
        )


def _check_samples(found: dict[str, TaskLoss]) -> None:
    """Raises `ValueError` if some tasks have samples of their own only."""
    without = [task for task, it in found.items() if it.reads.data is None]
    if without and len(without) < len(found):
        raise ValueError(
            "Either all tasks have samples of their own, or none has: "
            f"{', '.join(map(repr, without))} has no `data`. Say whose it "
            "takes: `keras_mtl.losses.Task(function, data=...)`; several may "
            "share one name."
        )


def _weights(loss_weights: Any, by_task: dict[str, Any]) -> dict[str, Any]:
    if loss_weights is None:
        return {}
    if not isinstance(loss_weights, (dict, list, tuple)):
        raise ValueError(
            "Argument `loss_weights` must be a dict by task name or a list "
            f"in the order of the outputs. Received: {loss_weights!r}."
        )
    weights = by_name("loss_weights", loss_weights, list(by_task))
    return {
        name: _checked_weight(name, weight) for name, weight in weights.items()
    }


def _weight_of(task: str, entry: Any, weight: Any) -> Any:
    """The weight of a task, which is given in one place at most."""
    if not isinstance(entry, Task) or entry.weight is None:
        return weight
    if weight is not None:
        raise ValueError(
            f"Task {task!r} has a weight in `loss_weights` and one of its "
            "own: give one of them."
        )
    return _checked_weight(task, entry.weight)


def _checked_weight(name: str, weight: Any) -> Any:
    if weight is None:
        return None
    if isinstance(weight, keras.Variable) and tuple(weight.shape) == ():
        return weight
    return checked_number(
        f"loss_weights[{name!r}]",
        weight,
        "(-inf, inf)",
        "a scalar `keras.Variable`",
    )


def check_preference(weights: Mapping[str, Any]) -> None:
    """Raises `ValueError` for weights of which an aggregator sees no change.

    Args:
        weights: Weights by task.
    """
    for name, weight in weights.items():
        if isinstance(weight, keras.Variable):
            raise ValueError(
                '`loss_weights="preference"` is read once, so '
                f"`loss_weights[{name!r}]` must be a number. Received: a "
                "keras.Variable."
            )


def as_numbers(loss_weights: Any) -> Any:
    """What is saved of `loss_weights`: the present value of a variable."""
    return keras.tree.map_structure(
        lambda weight: (
            float(ops.convert_to_numpy(weight))
            if isinstance(weight, keras.Variable)
            else weight
        ),
        loss_weights,
    )
