"""What `compile` and files have set, kept where Keras does not track it."""

from typing import Any

from keras_mtl.models.checkpoint_record import CheckpointRecord
from keras_mtl.models.compile_arguments import CompileArguments
from keras_mtl.models.random_state import RandomState
from keras_mtl.models.task_losses import TaskLosses


class Settings:
    """A plain holder of what a model was compiled with, and of records.

    Neither a layer nor a container: Keras, torch and TensorFlow track neither
    it nor what it holds.

    Args:
        model: The `MultiTaskModel` whose settings these are.
    """

    def __init__(self, model: Any):
        self.random_state = RandomState(model)
        self.checkpoint_record = CheckpointRecord(model)
        self.compiled = CompileArguments()
        self.losses: TaskLosses | None = None
        #: Whether any `compile` had metrics: Keras keeps those of an earlier
        #: one.
        self.has_metrics = False
        self.entangled_tasks: set[str] = set()
