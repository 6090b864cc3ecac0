"""What is known about a network: its outputs and which layers each needs."""

import contextlib
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.export import keras_mtl_export
from keras_mtl.layers.trunk_and_heads import check_trunk_and_heads
from keras_mtl.revive import entry
from keras_mtl.revive import revive_layer
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.models.TrunkAndHeads")
class TrunkAndHeads(keras.Model):
    """A trunk whose output feeds one head per task.

    Args:
        trunk: Any layer or model.
        heads: Dict from task names to layers or models.
        task_inputs: Whether each task has inputs of its own, given as
            a dict by task. The trunk is then called once per task, in the
            order of `heads`; layers that keep statistics of their batches,
            such as `BatchNormalization`, update them in that order. Defaults
            to `False`.
        **kwargs: Passed on to `keras.Model`, such as `name`.

    Example:

    ```python
    network = keras_mtl.models.TrunkAndHeads(
        trunk=keras.layers.Dense(16, activation="relu"),
        heads={"a": keras.layers.Dense(1), "b": keras.layers.Dense(3)},
    )
    ```
    """

    def __init__(
        self,
        trunk: keras.layers.Layer,
        heads: dict[str, keras.layers.Layer],
        task_inputs: bool = False,
        **kwargs: Any,
    ):
        check_trunk_and_heads(trunk, heads)
        super().__init__(**kwargs)
        self.trunk = trunk
        self.heads = dict(heads)
        self.task_inputs = bool(task_inputs)

    def call(
        self, inputs: Any, training: bool | None = None
    ) -> dict[str, Tensor]:
        if self.task_inputs:
            self._check_inputs(inputs)
            return {
                task: self.call_task(task, inputs, training)
                for task in self.heads
            }
        return self.call_heads(self.trunk(inputs, training=training), training)

    def call_heads(
        self, features: Any, training: bool | None = None
    ) -> dict[str, Tensor]:
        """Returns the outputs for what the trunk returned."""
        return {
            task: head(features, training=training)
            for task, head in self.heads.items()
        }

    def call_task(
        self, task: str, inputs: Any, training: bool | None = None
    ) -> Tensor:
        """Returns the output of one task without running the other heads."""
        if self.task_inputs:
            self._check_inputs(inputs)
            inputs = inputs[task]
        features = self.trunk(inputs, training=training)
        return self.heads[task](features, training=training)

    def export(self, *args: Any, **kwargs: Any) -> None:
        """Exports inputs to outputs, and leaves the network as it was.

        `keras_mtl.MultiTaskModel.export` does so for a model.

        Args:
            *args: As for `keras.Model.export`.
            **kwargs: As for `keras.Model.export`.
        """
        with attributes_kept(self):
            super().export(*args, **kwargs)

    def _check_inputs(self, inputs: Any) -> None:
        """Raises `ValueError` unless there is an input for each task."""
        if isinstance(inputs, dict) and all(
            inputs.get(task) is not None for task in self.heads
        ):
            return
        given = type(inputs).__name__
        if isinstance(inputs, dict):
            given = f"inputs for {', '.join(map(repr, inputs)) or 'none'}"
        raise ValueError(
            "With `task_inputs=True` each task has inputs of its own: give "
            f"them as `{{{', '.join(f'{t!r}: ...' for t in self.heads)}}}`. "
            f"Received: {given}."
        )

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "trunk": serialize(self.trunk),
            "task_inputs": self.task_inputs,
            # A list of pairs: the order of the tasks is part of the model.
            "heads": [[k, serialize(v)] for k, v in self.heads.items()],
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> "TrunkAndHeads":
        return cls(
            trunk=revive_layer(entry(config, "trunk"), custom_objects),
            heads={
                task: revive_layer(head, custom_objects)
                for task, head in entry(config, "heads")
            },
            task_inputs=entry(config, "task_inputs"),
            name=config.get("name"),
        )


@contextlib.contextmanager
def attributes_kept(model: keras.Model) -> Iterator[None]:
    """Sets a model's attributes back to the objects that they were.

    `torch.export` leaves copies of lists and dicts, whose keys are sorted. The
    model's layers and variables would no longer be found in one order, and
    what is saved could not be loaded.
    """
    before = dict(vars(model))
    try:
        yield
    finally:
        vars(model).update(before)


def is_functional(network: Any) -> bool:
    """Whether a network is a graph of layers that can be walked."""
    return any(
        cls.__name__ == "Functional" and cls.__module__.startswith("keras.")
        for cls in type(network).__mro__
    )


def symbolic_inputs(network: Any) -> Any:
    """Returns the inputs that a network begins with, or `None`.

    Those of a graph; a network that is no graph knows them if the layer that
    it begins with does.
    """
    if is_functional(network):
        return network.input
    if isinstance(network, keras.Sequential):
        # Without them until it is built.
        inputs = getattr(network, "inputs", None)
        return inputs[0] if inputs else None
    if isinstance(network, TrunkAndHeads):
        inputs = symbolic_inputs(network.trunk)
        if inputs is not None and network.task_inputs:
            return dict.fromkeys(network.heads, inputs)
        return inputs
    return None


def inputs_when_built(network: Any) -> Any:
    """Returns the inputs that a layer was built for, if it says so."""
    # What is loaded from a file was built, but never called.
    shape = (network.get_build_config() or {}).get("input_shape")
    if shape is None:
        return None
    return keras.tree.map_shape_structure(keras.KerasTensor, _plain(shape))


def _plain(shapes: Any) -> Any:
    """A structure of shapes without the containers that Keras tracks."""
    if isinstance(shapes, dict):
        return {key: _plain(shape) for key, shape in shapes.items()}
    if isinstance(shapes, (list, tuple)):
        return [_plain(shape) for shape in shapes]
    return shapes


def graph_outputs(network: Any) -> dict[str, Any]:
    """Returns the symbolic outputs of a Functional model by name.

    The keys of a dict of outputs, else the names that Keras gives them.
    """
    outputs = network.output
    if isinstance(outputs, dict):
        nested = [k for k, v in outputs.items() if keras.tree.is_nested(v)]
        if nested:
            raise ValueError(
                "Each output of a multi-task model must be one tensor. "
                f"Received nested outputs: {', '.join(nested)}."
            )
        return dict(outputs)
    flat = keras.tree.flatten(outputs)
    names = list(network.output_names)
    several = sorted({name for name in names if names.count(name) > 1})
    if several:
        raise ValueError(
            f"Several outputs come from the layer {several[0]!r}, which gives "
            "them one name, and tasks are told apart by theirs. Give the "
            "outputs as a dict: `{"
            + ", ".join(f"'task_{k + 1}': ..." for k in range(len(names)))
            + "}`."
        )
    return dict(zip(names, flat, strict=True))


class NetworkTasks:
    """Parts of a network by output, found once.

    Args:
        network: A Functional model or a `TrunkAndHeads`.
    """

    def __init__(self, network: Any):
        self.network = network
        self._parts: dict[tuple[str, ...], keras.Model] = {}
        self.graph = is_functional(network)
        self.task_inputs = not self.graph and network.task_inputs
        if self.graph:
            self.symbolic = graph_outputs(network)
            self.names = list(self.symbolic)
            self.named = isinstance(network.output, dict)
        else:
            self.named = True
            self.names = list(network.heads)

    @property
    def has_one_batch(self) -> bool:
        """Whether all outputs are of the same samples, for sure."""
        if self.graph:
            return len(keras.tree.flatten(self.network.input)) == 1
        return not self.task_inputs

    @property
    def has_mixed_layers(self) -> bool:
        """Whether a layer of a graph has variables and several outputs.

        The graph does not tell which of them belong to which output.
        """
        # Frozen ones count: what is known is kept until they are trained.
        return self.graph and any(
            layer.weights
            and not isinstance(layer, keras.layers.InputLayer)
            and len(keras.tree.flatten(layer.output)) > 1
            for layer in self.network.layers
        )

    def task_model(self, name: str) -> keras.Model:
        """Returns the model of one output, a `keras.Model` of its own."""
        if self.graph:
            return self.part([name])
        if (name,) not in self._parts:
            self._parts[name,] = keras.Sequential(
                [self.network.trunk, self.network.heads[name]],
                name=_model_name(name),
            )
        return self._parts[name,]

    def part(self, names: Sequence[str]) -> keras.Model:
        """Returns the model that computes some outputs of a graph, a list.

        Args:
            names: Their names. Of one, the model returns its tensor.
        """
        key = tuple(names)
        if key not in self._parts:
            outputs = [self.symbolic[name] for name in key]
            self._parts[key] = keras.Model(
                self.network.input,
                outputs if len(outputs) > 1 else outputs[0],
                name=_model_name("_".join(key)),
            )
        return self._parts[key]

    def call(
        self, names: Sequence[str], inputs: Any, training: bool | None
    ) -> dict[str, Any]:
        """Runs what some outputs need, and nothing else."""
        if not names:
            return {}
        if self.graph:
            found = self.part(names)(inputs, training=training)
            if len(names) == 1:
                return {names[0]: found}
            return dict(zip(names, found, strict=True))
        if len(names) == 1 or self.task_inputs:
            return {
                name: self.network.call_task(name, inputs, training=training)
                for name in names
            }
        features = self.network.trunk(inputs, training=training)
        return {
            name: self.network.heads[name](features, training=training)
            for name in names
        }

    def variables(self, name: str) -> list[keras.Variable]:
        """Returns the variables that one output reaches."""
        if self.graph:
            return self.part([name]).variables
        return [
            *self.network.trunk.variables,
            *self.network.heads[name].variables,
        ]


def _model_name(task: str) -> str:
    """A name that Keras allows, where it allows fewer than for outputs."""
    return f"only_{task}".replace("/", "_")
