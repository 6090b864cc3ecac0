"""A Keras model whose outputs are tasks."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import strategies
from keras_mtl.export import keras_mtl_export
from keras_mtl.models import networks
from keras_mtl.models.checkpoints import Checkpoints
from keras_mtl.models.network_arguments import as_network
from keras_mtl.models.serving import Serving
from keras_mtl.models.settings import Settings
from keras_mtl.models.settings import spec_of
from keras_mtl.models.strategy_in_use import StrategyInUse
from keras_mtl.models.task_gradients import TaskGradientsResult
from keras_mtl.models.task_gradients import task_gradients_of
from keras_mtl.models.task_structure import TaskStructure
from keras_mtl.models.task_trainer import TaskTrainer
from keras_mtl.revive import revive_layer
from keras_mtl.training.batch import Batch


@keras_mtl_export("keras_mtl.MultiTaskModel")
class MultiTaskModel(Checkpoints, Serving, TaskStructure, TaskTrainer):
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
            variables all tasks share. Defaults to `None`: found by a call.
        task_layers: For subclasses only: dict from task names to lists of
            layers (or names) of their own. Without it, or without
            `shared_layers`, the rest is found by a call, which must not
            contradict what is named; given both, they must name every layer
            with trainable variables, and no call is made. Defaults to `None`.
        **kwargs (Any): Passed on to `keras.Model`, such as `name`.

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
        network = as_network(
            inputs,
            outputs,
            trunk,
            heads,
            task_inputs,
            network,
            kwargs.get("name"),
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
        self.strategy_in_use = StrategyInUse(self)
        self._shared_layers = shared_layers
        self._task_layers = task_layers
        self._network_is_known = network is not None
        if network is not None:
            self.network = network
            if networks.is_functional(network) or isinstance(
                network, networks.TrunkAndHeads
            ):
                self._settings.network_tasks = networks.NetworkTasks(network)
                # Of others a call must show the inputs, built or not.
                self.built = network.built

    @classmethod
    def from_model(
        cls, model: keras.Model, name: str | None = None
    ) -> "MultiTaskModel":
        """Wraps a multi-output Keras model; the weights are the same objects.

        Args:
            model: A `keras.Model` with two or more outputs. Of a
                `MultiTaskModel`, the network is taken.
            name: Optional name.

        Returns:
            A `MultiTaskModel`.

        Raises:
            ValueError: If `model` is no Keras model, has one output, or is a
                `MultiTaskModel` with a `call` of its own.

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
        if isinstance(model, MultiTaskModel):
            if not model._network_is_known:
                raise ValueError(
                    f"Argument `model` is a {type(model).__name__}, which is a "
                    "MultiTaskModel already: compile and train it as it is."
                )
            model = model.network
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
        if self._settings.input_spec is None:
            self._settings.input_spec = keras.tree.map_shape_structure(
                keras.KerasTensor, input_shape
            )
        if not self.network.built:
            self.network(self._settings.input_spec)
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
    def input(self):
        return self._delegate("input")

    @property
    def output(self):
        return self._delegate("output")

    @property
    def input_shape(self):
        return self._delegate("input_shape")

    @property
    def output_shape(self):
        return self._delegate("output_shape")

    @property
    def operations(self):
        return self._delegate("operations")

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

    def compute_output_spec(self, *args, **kwargs):
        shape = type(self).compute_output_shape
        if shape is not MultiTaskModel.compute_output_shape:
            return super().compute_output_spec(*args, **kwargs)
        # By a call, as where Keras knows of no method for the shape.
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def compute_output_shape(self, input_shape):
        inputs = keras.tree.map_shape_structure(keras.KerasTensor, input_shape)
        return keras.tree.map_structure(
            lambda output: output.shape, self.compute_output_spec(inputs)
        )

    def count_params(self):
        if self._network_is_known:
            return self.network.count_params()
        return super().count_params()

    def _obj_type(self):
        # Keras then saves the layers of the graph as such, and not by
        # attributes that hold some of them, too.
        parts = self._settings.network_tasks
        if parts is not None and parts.graph:
            return self.network._obj_type()
        return super()._obj_type()

    def summary(self, *args, **kwargs):
        if self._network_is_known:
            return self.network.summary(*args, **kwargs)
        return super().summary(*args, **kwargs)

    def _overrides_call(self):
        return type(self).call is not MultiTaskModel.call

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
        x = keras.tree.map_structure(
            lambda part: None if part is None else ops.convert_to_tensor(part),
            x,
        )
        if not self.built or self._settings.input_spec is None:
            with keras.StatelessScope():
                self(x)
        return task_gradients_of(self, Batch(x, y, sample_weight))

    # ------------------------------------------------------------ saving

    def get_build_config(self):
        config = super().get_build_config()
        spec = self._settings.input_spec
        if config is None or spec is None or self._network_is_known:
            return config
        # A `build` of the subclass's own makes no call that could tell which
        # layers serve which task.
        spec = keras.saving.serialize_keras_object(spec)
        return {**config, "input_spec": spec}

    def build_from_config(self, config):
        super().build_from_config(config)
        spec = config.get("input_spec")
        if spec is not None:
            self._settings.input_spec = revive_layer(spec)

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
            model.strategy_in_use.strategy = strategies.deserialize(
                strategy, custom_objects
            )
        return model
