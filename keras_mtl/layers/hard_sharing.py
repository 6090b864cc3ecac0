"""A trunk that all tasks share, with a head for each."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.export import keras_mtl_export
from keras_mtl.layers.task_names import checked_tasks
from keras_mtl.layers.tasks_in_order import TasksInOrder
from keras_mtl.layers.trunk_and_heads import check_trunk_and_heads
from keras_mtl.revive import entry
from keras_mtl.revive import revive_layer


@keras_mtl_export("keras_mtl.layers.HardSharing")
class HardSharing(TasksInOrder):
    """Applies one head per task to what a shared trunk computes.

    The classical network for several tasks, and the baseline for all others.
    `keras_mtl.MultiTaskModel(trunk=..., heads=...)` is a model of this kind;
    this layer is for Functional models that go on after the heads, and for
    heads that look at other features than the last: by `features`, each head
    takes what it needs from within the trunk.

    `y_k = head_k(trunk(x))`

    Args:
        trunk: A layer or model that all tasks share.
        heads: Dict from task names to layers or models.
        features: Dict from task names to the name of the trunk's features
            that the head takes, or to a list of names, for a head that takes
            a list. Names are keys of the dict that the trunk returns, or, for
            a Functional trunk, names of its layers. Heads without an entry
            take the trunk's output as it is. Defaults to `None`, no entry.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: What the trunk takes.
        training: As for any Keras layer.

    Input shape:
        That of the trunk.

    Output shape:
        Dict from task names to the shapes of the heads' outputs.

    Raises:
        ValueError: If trunk and heads are no layers, or if the trunk has no
            features of a name.

    Example:

    ```python
    image = keras.Input((16, 16, 3))
    fine = keras.layers.Conv2D(8, 3, padding="same", name="fine")(image)
    coarse = keras.layers.Conv2D(16, 3, strides=2, padding="same")(fine)
    layer = keras_mtl.layers.HardSharing(
        trunk=keras.Model(image, coarse),
        heads={
            "edges": keras.layers.Conv2D(1, 1),
            "kind": keras.Sequential(
                [keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(4)]
            ),
        },
        features={"edges": "fine"},
    )
    layer(image)["edges"].shape  # (None, 16, 16, 1)
    ```

    References:
        Caruana, Multitask Learning, Machine Learning 28, 1997.
    """

    def __init__(
        self,
        trunk: keras.layers.Layer,
        heads: Mapping[str, keras.layers.Layer],
        features: Mapping[str, str | list[str]] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_trunk_and_heads(trunk, heads)
        self.tasks = checked_tasks(list(heads))
        self.trunk = trunk
        self.heads = dict(heads)
        self.features = _checked_features(features, self.tasks)
        # A function: as a layer, it would be saved beside the trunk.
        self._run_trunk = _trunk_runner(trunk, self.features)
        # Masks go from layer to layer within.
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        # The outputs keep the masks that the heads give them.
        return None

    def call(self, inputs: Any) -> dict[str, Any]:
        output, by_name = self._run_trunk(inputs)
        return {
            task: head(_chosen(output, by_name, self.features.get(task)))
            for task, head in self.heads.items()
        }

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "trunk": serialize(self.trunk),
            # A list of pairs: the order of the tasks is part of the layer.
            "heads": [[k, serialize(v)] for k, v in self.heads.items()],
            "features": dict(self.features),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Any:
        trunk = revive_layer(entry(config, "trunk"), custom_objects)
        heads = {
            task: revive_layer(head, custom_objects)
            for task, head in entry(config, "heads")
        }
        return cls(**{**config, "trunk": trunk, "heads": heads})


def _checked_features(features: Any, tasks: Sequence[str]) -> dict[str, Any]:
    features = dict(features or {})
    unknown = [task for task in features if task not in tasks]
    if unknown:
        raise ValueError(
            f"`features` names {', '.join(map(repr, unknown))}, which has no "
            f"head. Heads: {', '.join(tasks)}"
        )
    return features


def _names(entry: Any) -> list[str]:
    return [entry] if isinstance(entry, str) else list(entry)


def _trunk_runner(
    trunk: Any, features: dict[str, Any]
) -> Callable[[Any], tuple[Any, dict]]:
    """Returns a function from inputs to the output and features by name."""
    names = {name for entry in features.values() for name in _names(entry)}
    if not names:
        return lambda inputs: (trunk(inputs), {})
    if getattr(trunk, "inputs", None) is None:

        def run(inputs: Any) -> tuple[Any, dict]:
            output = trunk(inputs)
            known = output if isinstance(output, dict) else {}
            _check_names(names, known)
            return output, known

        return run
    known = {layer.name: layer for layer in trunk.layers}
    if isinstance(trunk.output, dict):
        known.update(trunk.output)
    _check_names(names, known)
    inner = {
        name: getattr(known[name], "output", known[name])
        for name in sorted(names)
    }
    extractor = keras.Model(trunk.input, [trunk.output, inner])
    return lambda inputs: tuple(extractor(inputs))


def _check_names(names: set[str], known: dict[str, Any]) -> None:
    missing = sorted(names - set(known))
    if missing:
        raise ValueError(
            f"The trunk has no features called {', '.join(map(repr, missing))}."
            f" It has: {', '.join(known) or 'one output without a name'}. Use "
            "a trunk that returns a dict, or a Functional one and the names of "
            "its layers."
        )


def _chosen(output: Any, by_name: dict[str, Any], entry: Any) -> Any:
    if entry is None:
        return output
    if isinstance(entry, str):
        return by_name[entry]
    return [by_name[name] for name in entry]
