"""Whether a model can compute what its tasks read."""

from collections.abc import Mapping

from keras_mtl.models.task_loss import TaskLoss
from keras_mtl.models.task_structure import TaskStructure


def check_tasks(
    structure: TaskStructure, losses: Mapping[str, TaskLoss]
) -> None:
    """Raises `ValueError` for tasks that the model cannot serve.

    Args:
        structure: What is known of the model.
        losses: `TaskLoss` by task.
    """
    parts, network = structure.parts, structure.called_network
    inputs = parts.network.input if parts is not None and parts.graph else None
    names = set(inputs) if isinstance(inputs, dict) else set()
    for loss in losses.values():
        reads = loss.reads
        if reads.data is None and not reads.calls_model:
            continue
        if parts is not None and parts.task_inputs:
            raise ValueError(
                f"The loss of task {loss.task!r} has `data` or takes `model`, "
                "and the model was made with `task_inputs=True`, where each "
                "output has inputs of its own already. Make it without: "
                "`data=` gives each task its own samples, too."
            )
        if reads.data is None:
            continue
        if network is None:
            raise ValueError(
                f"Task {loss.task!r} has samples of its own, "
                f"`data={reads.data!r}`, and the model a `call` of its own, "
                "which would be given those of all tasks. Make the model of "
                "`inputs` and `outputs`, or wrap one: "
                "`MultiTaskModel.from_model(model)`."
            )
        if reads.data in names:
            raise ValueError(
                f"`data={reads.data!r}` of task {loss.task!r} is the name of "
                "an input of the model, too. Give the samples another name."
            )


def check_several(
    structure: TaskStructure, losses: Mapping[str, TaskLoss]
) -> None:
    """Raises `ValueError` for a model with one output and one loss.

    Args:
        structure: What is known of the model.
        losses: `TaskLoss` by task.
    """
    names = structure.output_names
    if names is not None and len(names) == len(losses) == 1:
        raise ValueError(
            "A multi-task model needs two or more tasks, and this one has one "
            f"output, {names[0]!r}, with one loss. Give it two or more "
            "outputs, or several losses: `loss={'a': "
            "keras_mtl.losses.Task(...), 'b': ...}`. Or use keras.Model for a "
            "single task."
        )
