"""A Keras model whose outputs are tasks."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl import strategies
from keras_mtl.export import keras_mtl_export
from keras_mtl.models import networks
from keras_mtl.models.checkpoints import Checkpoints
from keras_mtl.models.partition import Partition
from keras_mtl.models.reach import probe_reach
from keras_mtl.models.settings import Settings
from keras_mtl.models.settings import spec_of
from keras_mtl.models.task_trainer import TaskTrainer
from keras_mtl.models.trunk_split import NoTrunkError
from keras_mtl.models.trunk_split import TrunkSplit
from keras_mtl.models.trunk_split import split_trunk
from keras_mtl.registry import unknown_name
from keras_mtl.revive import revive_layer
from keras_mtl.training.batch import Batch
from keras_mtl.training.forward import Pass
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


@keras_mtl_export("keras_mtl.MultiTaskModel")
class MultiTaskModel(Checkpoints, TaskTrainer):
    """A multi-output Keras model whose outputs are tasks.

    Everything that `keras.Model` does works as it does there. In addition,
    `compile` and `fit` take a `strategy`, which says how the tasks' losses
    and gradients become one update.

    There are four ways to make one:

    ```python
    MultiTaskModel(inputs, {"left": left, "right": right})  # Functional
    MultiTaskModel(trunk=trunk, heads={"left": h1, "right": h2})
    MultiTaskModel.from_model(keras_model)  # wraps it, sharing its weights

    class MyModel(MultiTaskModel):  # `__init__`, and `call` -> dict
        ...
    ```

    Tasks are the outputs that have a loss, in the order of the outputs. The
    trainable variables that two or more tasks reach are shared; those that
    one task reaches are its own and follow its gradient alone. For models
    built from a graph or from trunk and heads this is known from their
    structure. For a subclass, and for a graph with layers that have several
    outputs (`keras_mtl.layers.MMoE`), it is found by following the
    dependencies of each output in one call; a subclass may also name its
    `shared_layers`.

    Args:
        inputs: Symbolic inputs, as for `keras.Model`.
        outputs: Symbolic outputs: a dict by task name, or a list, whose
            entries get Keras's output names.
        trunk: A layer or model that all tasks share. Needs `heads`.
        heads: Dict from task names to layers or models, applied to the
            trunk's output.
        task_inputs: With `trunk` and `heads`: whether each task has inputs of
            its own, `x={"a": ..., "b": ...}`, of any batch sizes. The trunk is
            called with each in turn, in the order of `heads`. Defaults to
            `False`: the same inputs for all.
        shared_layers: For subclasses only: the layers (or their names) whose
            variables all tasks share; every other layer must be named in
            `task_layers`. Defaults to `None`: found by a call.
        task_layers: For subclasses only: dict from task names to lists of
            layers (or names) of their own.
        name: Optional name.
        **kwargs: Passed on to `keras.Model`.

    Raises:
        ValueError: If the arguments do not describe a model with at least
            two outputs.

    Example:

    ```python
    inputs = keras.Input((8,))
    features = keras.layers.Dense(16, activation="relu")(inputs)
    model = keras_mtl.MultiTaskModel(
        inputs,
        {
            "height": keras.layers.Dense(1)(features),
            "kind": keras.layers.Dense(3, activation="softmax")(features),
        },
    )
    model.compile(
        "adam",
        loss={"height": "mse", "kind": "sparse_categorical_crossentropy"},
        strategy="fs_mtl",
    )
    ```
    """

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        *,
        trunk: keras.layers.Layer | None = None,
        heads: dict[str, keras.layers.Layer] | None = None,
        task_inputs: bool = False,
        network: keras.Model | None = None,
        shared_layers: Sequence[Any] | None = None,
        task_layers: dict[str, Sequence[Any]] | None = None,
        **kwargs,
    ):
        network = _as_network(
            inputs, outputs, trunk, heads, task_inputs, network
        )
        if network is None and type(self).call is MultiTaskModel.call:
            raise ValueError(
                "A MultiTaskModel needs `inputs` and `outputs`, or `trunk` and "
                "`heads`, or a subclass that defines `call`."
            )
        if network is not None and (shared_layers or task_layers):
            raise ValueError(
                "`shared_layers` and `task_layers` are for subclasses that "
                "define `call`; this model's structure is known."
            )
        if network is not None:
            # The wrapper adds no cast of its own to what the network does.
            kwargs.setdefault("dtype", network.dtype_policy)
            kwargs.setdefault("autocast", False)
        # Never the functional arguments: with them, keras.Model rewrites the
        # bases of this class for the whole process.
        super().__init__(**kwargs)
        self._settings = Settings(self)
        self._shared_layers = shared_layers
        self._task_layers = task_layers
        self._network_is_known = network is not None
        if network is not None:
            self.network = network
            if networks.is_functional(network) or isinstance(
                network, networks.TrunkAndHeads
            ):
                self._settings.network_tasks = networks.NetworkTasks(network)
            if network.built:
                self.built = True

    @classmethod
    def from_model(
        cls, model: keras.Model, name: str | None = None
    ) -> "MultiTaskModel":
        """Wraps a multi-output Keras model; the weights are the same objects.

        Args:
            model: A `keras.Model` with two or more outputs.
            name: Optional name.

        Returns:
            A `MultiTaskModel`.

        Raises:
            ValueError: If `model` is no Keras model or has one output.

        Example:

        ```python
        model = keras_mtl.MultiTaskModel.from_model(keras_model)
        ```
        """
        if not isinstance(model, keras.Model):
            raise ValueError(
                "Argument `model` must be a keras.Model. Received: "
                f"{type(model).__name__}."
            )
        return cls(network=model, name=name)

    # ------------------------------------------------------ the network

    def call(self, inputs, training=None):
        return self.network(inputs, training=training)

    def __call__(self, *args, **kwargs):
        if self._settings.input_spec is None and args:
            self._settings.input_spec = spec_of(args[0])
        return super().__call__(*args, **kwargs)

    def build(self, input_shape=None):
        if not self._network_is_known:
            if self._settings.input_spec is None and self._builds_by_call():
                # By a file that is loaded, for instance: a call builds the
                # layers, and comes here again.
                self(
                    keras.tree.map_shape_structure(
                        keras.KerasTensor, input_shape
                    )
                )
            else:
                super().build(input_shape)
            return
        if not self.network.built:
            inputs = self._settings.input_spec
            if inputs is None:
                inputs = keras.tree.map_shape_structure(
                    keras.KerasTensor, input_shape
                )
            self.network(inputs)
        self.built = True

    def _builds_by_call(self):
        return type(self).build is MultiTaskModel.build

    def _delegate(self, attribute):
        """Reads a property from the network where there is one."""
        if self.__dict__.get("_network_is_known"):
            return getattr(self.network, attribute)
        return getattr(super(), attribute)

    @property
    def inputs(self):
        return self._delegate("inputs")

    @property
    def outputs(self):
        return self._delegate("outputs")

    @property
    def input_shape(self):
        return self._delegate("input_shape")

    @property
    def output_names(self):
        names = self._output_names()
        if names is None:
            raise AttributeError(
                "The output names of a subclassed model are not known."
            )
        return names

    @property
    def layers(self):
        return self._delegate("layers")

    def summary(self, *args, **kwargs):
        if self._network_is_known:
            return self.network.summary(*args, **kwargs)
        return super().summary(*args, **kwargs)

    @property
    def has_output_names(self) -> bool:
        """Whether the names of the outputs are known without a call."""
        return self._output_names() is not None

    def _overrides_call(self):
        return type(self).call is not MultiTaskModel.call

    def _output_names(self):
        tasks = self._settings.network_tasks
        return None if tasks is None else tasks.names

    # ------------------------------------------------------------- tasks

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
        if settings.reach is None or set(settings.reach) != set(tasks):
            if settings.network_tasks is not None and (
                not settings.network_tasks.has_mixed_layers
            ):
                settings.reach = {
                    task: settings.network_tasks.variables(task)
                    for task in tasks
                }
            else:
                settings.reach = probe_reach(
                    self,
                    tasks,
                    self._probe_spec(),
                    self._shared_layers,
                    self._task_layers,
                )
        return settings.reach

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
        return parts.task_model(task)

    def task_gradients(
        self, x: Any, y: Any, sample_weight: Any = None
    ) -> TaskGradientsResult:
        """Computes the loss and the gradient of each task, changing nothing.

        Runs in training mode, like a step, with the random numbers of the
        next one.

        Args:
            x: Inputs of a batch.
            y: Labels by task.
            sample_weight: Optional sample weights.

        Returns:
            A pair of the losses, a tensor `[K]`, and the gradients, with
            `shared`: one tensor `[K, *shape]` per variable of
            `shared_variables`, and `own`: a dict from tasks to one tensor per
            variable of `task_variables[task]`.

        Raises:
            ValueError: If the model is not compiled with losses.

        Example:

        ```python
        losses, gradients = model.task_gradients(x, y)
        ```
        """
        if not self.compiled or self.task_losses is None:
            raise ValueError(
                "Call `compile(loss={task: ...})` before `task_gradients`."
            )
        x = keras.tree.map_structure(ops.convert_to_tensor, x)
        if not self.built or self._settings.input_spec is None:
            with keras.StatelessScope():
                self(x)
        partition = self.partition()
        values = Values(self, partition, self.network_variables(False))
        with backend.RandomReplay()():
            clean = Pass(self, Batch(x, y, sample_weight), values)
        gradients = clean.task_gradients(ops.ones_like(clean.losses))
        return TaskGradientsResult(
            clean.losses,
            TaskGradientsByVariable(
                gradients.shared.stacks,
                dict(zip(partition.tasks, gradients.own, strict=True)),
            ),
        )

    # ------------------------------------------------------------ saving

    def get_config(self):
        if not self._network_is_known:
            return super().get_config()
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "network": serialize(self.network),
            "strategy": self.strategy and serialize(self.strategy),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        if "network" not in config:
            return super().from_config(config, custom_objects)
        network = revive_layer(config["network"], custom_objects)
        model = cls(network=network, name=config.get("name"))
        strategy = config.get("strategy")
        if strategy is not None:
            # A copy has the settings; `compile` decides what it trains with.
            model._settings.strategy = strategies.deserialize(
                strategy, custom_objects
            )
        return model


def _as_network(inputs, outputs, trunk, heads, task_inputs, network):
    """Makes a network of the constructor's arguments, and checks it."""
    given = [
        inputs is not None or outputs is not None,
        trunk is not None or heads is not None,
        network is not None,
    ]
    if task_inputs and not given[1]:
        raise ValueError(
            "`task_inputs=True` needs `trunk` and `heads`: the trunk is called "
            "with the inputs of each task in turn."
        )
    if sum(given) > 1:
        raise ValueError(
            "Give either `inputs` and `outputs`, or `trunk` and `heads`."
        )
    if given[0]:
        if inputs is None or outputs is None:
            raise ValueError("`inputs` and `outputs` must be given together.")
        network = keras.Model(inputs, outputs)
    if given[1]:
        network = networks.TrunkAndHeads(trunk, heads, task_inputs)
        if trunk.built and all(head.built for head in heads.values()):
            network.built = True
    if network is None:
        return None
    if not isinstance(network, keras.Model):
        raise ValueError(
            "The network of a multi-task model must be a keras.Model. "
            f"Received: {type(network).__name__}."
        )
    names = None
    if networks.is_functional(network):
        names = list(networks.graph_outputs(network))
    elif isinstance(network, networks.TrunkAndHeads):
        names = list(network.heads)
    if names is not None and len(names) < 2:
        raise ValueError(
            "A multi-task model needs two or more outputs; this one has "
            f"{len(names)} ({', '.join(names)}). Use keras.Model for a single "
            "task."
        )
    return network
