"""What is known about a network: its outputs and which layers each needs."""

from typing import Any

import keras

from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.models.TrunkAndHeads")
class TrunkAndHeads(keras.Model):
    """A trunk whose output feeds one head per task.

    Args:
        trunk: Any layer or model.
        heads: Dict from task names to layers or models.
        name: Optional name.
        **kwargs: Passed on to `keras.Model`.

    Example:

    ```python
    network = keras_mtl.models.TrunkAndHeads(
        trunk=keras.layers.Dense(16, activation="relu"),
        heads={"a": keras.layers.Dense(1), "b": keras.layers.Dense(3)},
    )
    ```
    """

    def __init__(self, trunk, heads, **kwargs):
        super().__init__(**kwargs)
        self.trunk = trunk
        self.heads = dict(heads)

    def call(self, inputs, training=None):
        features = self.trunk(inputs, training=training)
        return {
            task: head(features, training=training)
            for task, head in self.heads.items()
        }

    def call_task(self, task, inputs, training=None):
        """Returns the output of one task without running the other heads."""
        features = self.trunk(inputs, training=training)
        return self.heads[task](features, training=training)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "trunk": serialize(self.trunk),
            # A list of pairs: the order of the tasks is part of the model.
            "heads": [[k, serialize(v)] for k, v in self.heads.items()],
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        def revive(item):
            return keras.saving.deserialize_keras_object(
                item, custom_objects=custom_objects
            )

        return cls(
            trunk=revive(config["trunk"]),
            heads={task: revive(head) for task, head in config["heads"]},
            name=config["name"],
        )


def is_functional(network: Any) -> bool:
    """Whether a network is a graph of layers that can be walked."""
    return any(
        cls.__name__ == "Functional" and cls.__module__.startswith("keras.")
        for cls in type(network).__mro__
    )


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
    return dict(zip(network.output_names, flat, strict=True))


class NetworkTasks:
    """Parts of a network by output, found once.

    Args:
        network: A Functional model or a `TrunkAndHeads`.
    """

    def __init__(self, network):
        self.network = network
        self._parts: dict[str, keras.Model] = {}
        self.graph = is_functional(network)
        if self.graph:
            self.symbolic = graph_outputs(network)
            self.names = list(self.symbolic)
        else:
            self.names = list(network.heads)

    def part(self, name: str) -> keras.Model:
        """Returns the model that computes one output of a graph."""
        if name not in self._parts:
            self._parts[name] = keras.Model(
                self.network.input, self.symbolic[name], name=f"only_{name}"
            )
        return self._parts[name]

    def call(self, name: str, inputs: Any, training: bool) -> Any:
        """Runs what one output needs, and nothing else."""
        if self.graph:
            return self.part(name)(inputs, training=training)
        return self.network.call_task(name, inputs, training=training)

    def variables(self, name: str) -> list[keras.Variable]:
        """Returns the variables that one output reaches."""
        if self.graph:
            return self.part(name).variables
        return [
            *self.network.trunk.variables,
            *self.network.heads[name].variables,
        ]
