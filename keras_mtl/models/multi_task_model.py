"""A Keras model whose outputs are tasks."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import nullcontext
from typing import Any

import keras
from keras import ops

from keras_mtl import strategies
from keras_mtl.export import keras_mtl_export
from keras_mtl.models import checkpoints
from keras_mtl.models.checkpoint_record import CheckpointRecord
from keras_mtl.models.network_arguments import as_network
from keras_mtl.models.task_gradients import TaskGradientsResult
from keras_mtl.models.task_gradients import task_gradients_of
from keras_mtl.models.task_trainer import TaskTrainer
from keras_mtl.revive import revive_layer
from keras_mtl.training.batch import Batch


@keras_mtl_export("keras_mtl.MultiTaskModel")
class MultiTaskModel(TaskTrainer):
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

    Tasks are the outputs that have a loss, in the order of the outputs, unless
    `compile` is given tasks by `keras_mtl.losses.Task`. The
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
        **kwargs: Passed on to `keras.Model`, such as `name`.

    Raises:
        ValueError: If the arguments do not describe a model.

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
        **kwargs: Any,
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
        super().__init__(network, shared_layers, task_layers, **kwargs)

    @classmethod
    def from_model(
        cls, model: keras.Model, name: str | None = None
    ) -> "MultiTaskModel":
        """Wraps a multi-output Keras model; the weights are the same objects.

        Args:
            model: A `keras.Model` with outputs by name. Of a
                `MultiTaskModel`, the network is taken.
            name: Optional name.

        Returns:
            A `MultiTaskModel`.

        Raises:
            ValueError: If `model` is no Keras model, or is a
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
            if model.task_structure.network is None:
                raise ValueError(
                    f"Argument `model` is a {type(model).__name__}, which is a "
                    "MultiTaskModel already: compile and train it as it is."
                )
            model = model.network
        return cls(network=model, name=name)

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
        if not self.built or self.task_structure.input_spec is None:
            with keras.StatelessScope():
                self(x)
        return task_gradients_of(self, Batch(x, y, sample_weight))

    # ------------------------------------------------------------ saving

    @property
    def checkpoint_record(self) -> CheckpointRecord:
        """What `.keras` and weight files say of strategy and tasks."""
        return self._settings.checkpoint_record

    def save(
        self,
        filepath: str | os.PathLike,
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Saves the model as `keras.Model.save` does, the file at once.

        Args:
            filepath: As for `keras.Model.save`. A
                `.keras` file on this machine is there as a whole or as it was
                before, whenever the process is stopped.
            overwrite: As for `keras.Model.save`.
            zipped: As for `keras.Model.save`.
            **kwargs: As for `keras.Model.save`.
        """
        checkpoints.attach_state(self)
        at_once: AbstractContextManager = nullcontext(filepath)
        if zipped is not False:
            at_once = checkpoints.written_at_once(filepath, ".keras", overwrite)
        with at_once as path:
            super().save(path, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(
        self,
        filepath: str | os.PathLike,
        overwrite: bool = True,
        max_shard_size: float | None = None,
    ) -> None:
        """Saves the weights as `keras.Model.save_weights` does, at once.

        The state of the optimizer and of the strategy goes with them.

        Args:
            filepath: As for `keras.Model.save_weights`.
                A single file on this machine is there as a whole or as it was
                before, whenever the process is stopped.
            overwrite: As for `keras.Model.save_weights`.
            max_shard_size: As for `keras.Model.save_weights`.
        """
        checkpoints.attach_state(self)
        at_once: AbstractContextManager = nullcontext(filepath)
        if max_shard_size is None:
            at_once = checkpoints.written_at_once(
                filepath, ".weights.h5", overwrite
            )
        with at_once as path:
            super().save_weights(path, overwrite, max_shard_size)

    def load_weights(
        self,
        filepath: str | os.PathLike,
        skip_mismatch: bool = False,
        weights_only: bool = False,
        **kwargs: Any,
    ) -> None:
        """Loads weights and the state of optimizer and strategy.

        If anything fails, all of it is as it was before.

        Args:
            filepath: As for `keras.Model.load_weights`.
            skip_mismatch: As for `keras.Model.load_weights`. The state of
                another strategy, or for other tasks, is left out then, with
                a warning.
            weights_only: Whether the optimizer, the strategy and the random
                numbers stay as they are, and the network's weights alone are
                loaded, from a `.weights.h5` file. Defaults to `False`.
            **kwargs: As for `keras.Model.load_weights`.

        Raises:
            ValueError: If the file is of another strategy or of other tasks,
                or does not fit the model.
            OSError: If the file is damaged.
            zipfile.BadZipFile: If a byte of a `.keras` file was changed.
        """
        skipped = list(kwargs.pop("objects_to_skip", None) or [])
        with checkpoints.loading(
            self, filepath, skip_mismatch, weights_only
        ) as more:
            if skipped or more:
                kwargs["objects_to_skip"] = [*skipped, *more]
            super().load_weights(filepath, skip_mismatch, **kwargs)

    def get_compile_config(self) -> dict[str, Any]:
        config = super().get_compile_config()
        if not config:
            return config
        compiled = self._settings.compiled.get_config()
        return {**config, **compiled, **checkpoints.strategy_config(self)}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        checkpoints.compile_from_config(self, config)

    def get_config(self) -> dict[str, Any]:
        if self.task_structure.network is None:
            return super().get_config()
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "network": serialize(self.network),
            "strategy": self.strategy and serialize(self.strategy),
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> "MultiTaskModel":
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
