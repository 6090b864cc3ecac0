"""One task of a model as a model of its own, with everything of that task."""

from typing import Any

import keras

from keras_mtl.models.by_output import by_name
from keras_mtl.models.labelled_mean import LabelledMean
from keras_mtl.models.multi_task_model import MultiTaskModel
from keras_mtl.models.task_loss import OutputLoss
from keras_mtl.models.task_loss import TaskLoss
from keras_mtl.models.task_trainer import TaskTrainer


class SingleTaskModel(MultiTaskModel):
    """The network of one task, which trains as `keras.Model` would.

    The weights are those of the model that is given, and labels may be missing
    as they may there. Factors of losses say nothing where there is one, and
    are left out.

    Args:
        model: A compiled `MultiTaskModel`, whose optimizer is taken, too.
        task: Name of the task.

    Raises:
        ValueError: If it is not known what the task alone needs.
    """

    def __init__(self, model: MultiTaskModel, task: str):
        check_separable(model)
        only = model.task_model(task)
        network = keras.Model(only.input, {task: only.output})
        # Not the next one, which refuses networks with one output.
        TaskTrainer.__init__(self, network, None, None)
        given = model.compiled_arguments
        names = model.task_structure.output_names or []

        def of_task(argument: str) -> dict[str, Any] | None:
            found = by_name(argument, getattr(given, argument), names)[task]
            return None if found is None else {task: found}

        self.compile(
            model.optimizer,
            loss={task: _loss_of_output(model, task)},
            metrics=of_task("metrics"),
            weighted_metrics=of_task("weighted_metrics"),
            run_eagerly=model.run_eagerly,
            jit_compile=model.jit_compile,
            steps_per_execution=model.steps_per_execution,
            on_nonfinite=given.on_nonfinite,
            check=given.check,
        )
        # The loss without penalties, which Keras keeps of several only.
        self.task_losses.trackers = [LabelledMean(name=f"{task}_loss")]

    def check_losses(self, losses: dict[str, TaskLoss]) -> None:
        """Takes one."""


def _loss_of_output(model: MultiTaskModel, task: str) -> keras.losses.Loss:
    loss = model.task_losses.losses[task]
    if not isinstance(loss, OutputLoss):
        raise ValueError(
            f"The loss of task {task!r} is not one of an output and its labels "
            "alone, as a model of one task needs it."
        )
    return loss.loss


def check_separable(model: MultiTaskModel) -> None:
    """Raises `ValueError` if a task of a model cannot be trained alone.

    Args:
        model: A `MultiTaskModel`.
    """
    structure, reason = model.task_structure, None
    if type(model) is not MultiTaskModel:
        reason = f"{type(model).__name__} is a class of its own"
    elif structure.parts is None:
        name = type(structure.network).__name__
        reason = f"its network, {name}, is no graph of layers"
    elif structure.parts.task_inputs:
        reason = "each task has inputs of its own"
    elif structure.known_inputs() is None:
        reason = "the shape of its inputs is not known before the first call"
    elif not model.task_losses.given.is_by_output:
        reason = "tasks are losses of other than an output of their name"
    if reason is not None:
        raise ValueError(
            "The model cannot be taken apart into one model per task: "
            f"{reason}. Make it of `inputs` and `outputs`, or of `trunk` and "
            "`heads` that have been built."
        )
