"""Which parts of a model serve which tasks."""

from collections.abc import Sequence

import keras

from keras_mtl.gradients.partition import Partition
from keras_mtl.models.reach import Reach
from keras_mtl.models.reach import probe_reach
from keras_mtl.models.reach import reach_on_batch
from keras_mtl.models.trunk_split import NoTrunkError
from keras_mtl.models.trunk_split import TrunkSplit
from keras_mtl.models.trunk_split import split_trunk
from keras_mtl.registry import unknown_name
from keras_mtl.training.batch import Batch


class TaskStructure(keras.Model):
    """The part of `MultiTaskModel` that knows its tasks and their variables.

    It needs `network_variables`, `known_inputs` and `_overrides_call` of the
    class that it is part of.
    """

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, in order: outputs that have a loss."""
        if self._settings.losses is not None:
            return self._settings.losses.tasks
        return list(self._output_names() or [])

    @property
    def shared_variables(self) -> list[keras.Variable]:
        """Trainable variables that two or more tasks reach."""
        return self.partition().shared_variables

    @property
    def task_variables(self) -> dict[str, list[keras.Variable]]:
        """For each task, the trainable variables that only it reaches."""
        return self.partition().task_variables

    @property
    def can_probe(self) -> bool:
        """Whether enough is known to find out what the tasks reach."""
        return (
            self._settings.network_tasks is not None
            or self._settings.input_spec is not None
            or (self._shared_layers is not None and bool(self._task_layers))
        )

    def partition(self) -> Partition:
        """Returns which trainable variables serve which tasks."""
        return Partition(
            self.tasks, self.network_variables(True), self.find_reach()
        )

    def find_reach(
        self, tasks: Sequence[str] | None = None
    ) -> dict[str, list[keras.Variable]]:
        """For each task, all variables that it reaches, frozen ones too."""
        settings = self._settings
        tasks = self.tasks if tasks is None else list(tasks)
        key = self._reach_key(tasks)
        if settings.reach is None or settings.reach.key != key:
            if settings.network_tasks is not None and (
                not settings.network_tasks.has_mixed_layers
            ):
                by_task = {
                    task: settings.network_tasks.variables(task)
                    for task in tasks
                }
            else:
                by_task = probe_reach(
                    self,
                    tasks,
                    self._probe_spec(),
                    self._shared_layers,
                    self._task_layers,
                )
            settings.reach = Reach(key, by_task)
        return settings.reach.by_task

    def correct_reach(self, batch: Batch) -> bool:
        """Finds out by gradients on a batch what each task reaches.

        A graph of layers does not tell where a layer cuts the gradient, nor
        what a loss looks at besides its output.

        Args:
            batch: Inputs and labels, as tensors.

        Returns:
            Whether that differs from what was known.
        """
        if self._shared_layers is not None or self._task_layers:
            # Who says so may know more than one batch does.
            return False
        known = self.partition()
        found = reach_on_batch(self, known, batch)
        if found == known.tasks_of:
            return False
        self._settings.reach = Reach.of(
            self._reach_key(self.tasks), self.tasks, known.variables, found
        )
        return True

    def _reach_key(self, tasks):
        """What must be the same for a reach to hold."""
        return (
            tuple(sorted(tasks)),
            tuple(id(v) for v in self.network_variables(True)),
            tuple(id(v) for v in self.network_variables(False)),
        )

    def _probe_spec(self):
        if self._settings.network_tasks is not None:
            return self.network.input
        return self._settings.input_spec

    def split_trunk(
        self, tasks: Sequence[str], shared_variables: Sequence[keras.Variable]
    ) -> TrunkSplit:
        """Cuts the network at the representation that its tasks share.

        Args:
            tasks: Names of the tasks.
            shared_variables: Trainable variables that several tasks reach.

        Raises:
            ValueError: If there is no such representation.
        """
        if not self._network_is_known or self._overrides_call():
            raise NoTrunkError("the layers of a subclassed model are not known")
        return split_trunk(self.network, list(tasks), list(shared_variables))

    def task_model(self, task: str) -> keras.Model:
        """Returns a model of one task, which shares the weights.

        Args:
            task: Name of an output.

        Returns:
            A `keras.Model` from the inputs (with `task_inputs`, those of the
            task) to that output. Nothing else is run.

        Raises:
            ValueError: If there is no such output, or the model is a subclass
                whose parts are not known.

        Example:

        ```python
        model.task_model("kind").predict(x)
        ```
        """
        parts = self._settings.network_tasks
        if parts is None or self._overrides_call():
            raise ValueError(
                "The layers that one task needs are known for Functional "
                "models and for `trunk=` and `heads=` only."
            )
        if task not in parts.names:
            raise unknown_name("task", str(task), parts.names)
        model = parts.task_model(task)
        inputs = None if model.built else self.known_inputs()
        if inputs is not None:
            model(inputs[task] if parts.task_inputs else inputs)
        return model

    @property
    def has_output_names(self) -> bool:
        """Whether the names of the outputs are known without a call."""
        return self._output_names() is not None

    def _output_names(self):
        tasks = self._settings.network_tasks
        return None if tasks is None else tasks.names
