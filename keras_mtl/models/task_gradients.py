"""The losses and gradients of the tasks on one batch."""

from typing import Any
from typing import NamedTuple

from keras import ops

from keras_mtl import backend
from keras_mtl.training.batch import Batch
from keras_mtl.training.passes import Pass
from keras_mtl.training.point import Point
from keras_mtl.training.values import Values


class TaskGradientsResult(NamedTuple):
    """What `MultiTaskModel.task_gradients` returns.

    Attributes:
        losses: Tensor `[K]` of task losses times their `loss_weights`.
        gradients: `TaskGradientsByVariable`.
    """

    losses: Any
    gradients: "TaskGradientsByVariable"


class TaskGradientsByVariable(NamedTuple):
    """Task gradients by variable.

    Attributes:
        shared: One tensor `[K, *shape]` per variable of
            `model.shared_variables`.
        own: For each task, one tensor per variable of
            `model.task_variables[task]`.
    """

    shared: list[Any]
    own: dict[str, list[Any]]


def task_gradients_of(model: Any, batch: Batch) -> TaskGradientsResult:
    """Makes one pass of a built model and changes nothing.

    Args:
        model: A `MultiTaskModel` that is compiled with losses.
        batch: Inputs and labels, as tensors.
    """
    partition = model.partition()
    values = Values(
        partition,
        model.network_variables(False),
        backend.Bypass(model, partition.variables),
    )
    with backend.RandomReplay()():
        clean = Pass(Point(model, batch, values, None))
    gradients = clean.task_gradients(ops.ones_like(clean.losses))
    return TaskGradientsResult(
        clean.losses,
        TaskGradientsByVariable(
            gradients.shared.stacks,
            dict(zip(partition.tasks, gradients.own, strict=True)),
        ),
    )
