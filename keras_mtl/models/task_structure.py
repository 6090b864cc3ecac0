"""Which parts of a model serve which tasks."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.gradients.partition import Partition
from keras_mtl.models import networks
from keras_mtl.models.own_hooks import overrides
from keras_mtl.models.reach import Reach
from keras_mtl.models.reach import VariablesByTask
from keras_mtl.models.reach import probe_reach
from keras_mtl.models.reach import reach_on_batch
from keras_mtl.models.task_loss import Reads
from keras_mtl.models.trunk_split import NoTrunkError
from keras_mtl.models.trunk_split import TrunkSplit
from keras_mtl.models.trunk_split import split_trunk
from keras_mtl.registry import unknown_name
from keras_mtl.training.batch import Batch


class TaskStructure:
    """What is known of a model's inputs, outputs and variables by task.

    Neither a layer nor a container: Keras, torch and TensorFlow track neither
    it nor what it holds.

    Args:
        model: The `MultiTaskModel`.
        network: Its network; `None` for a subclass, whose `call` alone says
            what it does.
        shared_layers: As for `MultiTaskModel`.
        task_layers: As for `MultiTaskModel`.
    """

    def __init__(
        self,
        model: Any,
        network: keras.Model | None = None,
        shared_layers: Sequence[Any] | None = None,
        task_layers: dict[str, Sequence[Any]] | None = None,
    ):
        self._model = model
        self._shared_layers = shared_layers
        self._task_layers = task_layers
        self.network = network
        #: The network by output, where that can be seen without a call.
        self.parts: networks.NetworkTasks | None = None
        if networks.is_functional(network) or isinstance(
            network, networks.TrunkAndHeads
        ):
            self.parts = networks.NetworkTasks(network)
        #: Symbolic inputs: those of the first call, or of a file.
        self.input_spec: Any = None
        self._reach: Reach | None = None

    @property
    def called_network(self) -> keras.Model | None:
        """The network, if a call of the model is a call of it."""
        return None if overrides(self._model, "call") else self.network

    @property
    def called_parts(self) -> networks.NetworkTasks | None:
        """The parts, if calls of them are what a call of the model does."""
        return None if self.called_network is None else self.parts

    @property
    def output_names(self) -> list[str] | None:
        """Names of the outputs, `None` if a call alone would tell."""
        return None if self.parts is None else self.parts.names

    # ------------------------------------------------------------- inputs

    def note_inputs(self, inputs: Any) -> None:
        """Notes what inputs of a call are like, unless that is known."""
        if self.input_spec is None:
            self.input_spec = _spec_of(self._model.of_one_entry(inputs))

    def known_inputs(self) -> Any:
        """Returns symbolic inputs for a batch, `None` if they are not known."""
        network = self._model if self.network is None else self.network
        if networks.is_functional(network):
            return network.input
        inputs = self.input_spec
        if inputs is None:
            inputs = networks.symbolic_inputs(network)
        if inputs is None:
            inputs = networks.inputs_when_built(network)
        if inputs is None:
            return None
        return keras.tree.map_structure(_of_any_batch, inputs)

    # ---------------------------------------------------------- variables

    @property
    def can_probe(self) -> bool:
        """Whether enough is known to find out what the tasks reach."""
        return (
            self.parts is not None
            or self.input_spec is not None
            or (self._shared_layers is not None and bool(self._task_layers))
        )

    def partition(self) -> Partition:
        """Returns which trainable variables serve which tasks."""
        model = self._model
        return Partition(
            model.tasks,
            model.network_variables(True),
            self.find_reach(model.outputs_by_task),
        )

    def find_reach(
        self, outputs: Mapping[str, Sequence[str]]
    ) -> VariablesByTask:
        """For each task, all variables that it reaches, frozen ones too.

        Args:
            outputs: By task, the outputs that its loss depends on.
        """
        key = self._reach_key(outputs)
        if self._reach is None or self._reach.key != key:
            self._reach = Reach(key, self._probe(outputs))
        return self._reach.by_task

    def _probe(self, outputs: Mapping[str, Sequence[str]]) -> VariablesByTask:
        parts = self.parts
        if parts is not None and not parts.has_mixed_layers:
            return {
                task: [v for name in names for v in parts.variables(name)]
                for task, names in outputs.items()
            }
        return probe_reach(
            self._model,
            outputs,
            self.input_spec if parts is None else parts.network.input,
            self._shared_layers,
            self._task_layers,
        )

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
        found = reach_on_batch(self._model, known, batch)
        if found == known.tasks_of:
            return False
        self._reach = Reach.of(
            self._reach_key(self._model.outputs_by_task),
            self._model.tasks,
            known.variables,
            found,
        )
        return True

    @property
    def reach_indices(self) -> dict[str, list[int]] | None:
        """What `correct_reach` has found, by index of the variables."""
        return None if self._reach is None else self._reach.indices

    def set_reach(
        self,
        indices: dict[str, list[int]],
        outputs: Mapping[str, Sequence[str]],
    ) -> None:
        """Takes what `reach_indices` was, as it is in a file.

        Args:
            indices: By task, indices of variables.
            outputs: As for `find_reach`.
        """
        self._reach = Reach.from_indices(
            self._reach_key(outputs),
            self._model.network_variables(True),
            indices,
        )

    def _reach_key(self, outputs: Mapping[str, Sequence[str]]) -> tuple:
        """What must be the same for a reach to hold."""
        model = self._model
        return (
            tuple(sorted((task, *names) for task, names in outputs.items())),
            tuple(id(v) for v in model.network_variables(True)),
            tuple(id(v) for v in model.network_variables(False)),
        )

    # -------------------------------------------------------------- parts

    def split_trunk(
        self,
        reads: Mapping[str, Reads],
        shared_variables: Sequence[keras.Variable],
    ) -> TrunkSplit:
        """Cuts the network at the representation that its tasks share.

        Args:
            reads: By task, what its loss is computed from.
            shared_variables: Trainable variables that several tasks reach.

        Raises:
            ValueError: If there is no such representation.
        """
        if self.called_network is None:
            raise NoTrunkError("the layers of a subclassed model are not known")
        for task, it in reads.items():
            if it.calls_model:
                raise NoTrunkError(
                    f"the loss of task {task!r} calls the model itself"
                )
            if it.data is not None:
                raise NoTrunkError("tasks have samples of their own")
        return split_trunk(
            self.called_network,
            {task: it.output_names for task, it in reads.items()},
            list(shared_variables),
        )

    def task_model(self, task: str) -> keras.Model:
        """Returns a model of one task, as `MultiTaskModel.task_model` does."""
        parts = self.called_parts
        if parts is None:
            raise ValueError(
                "The layers that one task needs are known for Functional "
                "models and for `trunk=` and `heads=` only."
            )
        if task not in parts.names:
            names = self._model.outputs_by_task.get(task, ())
            if len(names) != 1:
                raise unknown_name("output", str(task), parts.names)
            (task,) = names
        model = parts.task_model(task)
        inputs = None if model.built else self.known_inputs()
        if inputs is not None:
            model(inputs[task] if parts.task_inputs else inputs)
        return model


def _spec_of(inputs: Any) -> Any:
    """Shapes and dtypes of inputs, as symbolic tensors."""
    return keras.tree.map_structure(
        lambda x: (
            keras.KerasTensor(
                tuple(x.shape), dtype=keras.backend.standardize_dtype(x.dtype)
            )
            if hasattr(x, "shape")
            else None
        ),
        inputs,
    )


def _of_any_batch(x: Any) -> keras.KerasTensor | None:
    """A symbolic input for what was given in a call, as `predict` gives it."""
    if x is None:
        return None
    is_float = keras.backend.is_float_dtype(x.dtype)
    return keras.KerasTensor(
        (None, *x.shape[1:]),
        dtype=keras.config.floatx() if is_float else x.dtype,
    )
