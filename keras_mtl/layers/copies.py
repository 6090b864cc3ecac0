"""Copies of a template layer that start from different random numbers."""

import zlib
from typing import Any

import keras

from keras_mtl.revive import entry
from keras_mtl.revive import revive_layer


class Template:
    """A layer that is copied by its config, and never called itself.

    Args:
        argument: The argument it was given as, for the message.
        layer: A layer or model with a config.

    Raises:
        ValueError: If it is no layer.
    """

    # No layer and no container of layers: Keras would count the template's
    # variables to those of the layer that holds it.

    def __init__(self, argument: str, layer: Any):
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(
                f"Argument `{argument}` must be a Keras layer or model, of "
                f"which copies are made. Received: {argument}={layer!r}"
            )
        self.layer = layer

    def copy(
        self, name: str, num_experts: int | None = None
    ) -> keras.layers.Layer:
        """Returns a new layer of the same config, without the weights.

        Seeds that the template fixes, of initializers and of random layers,
        are replaced: layers that begin with the same weights and see the same
        gradients would stay the same for ever.

        Args:
            name: The name of the copy, from which new seeds follow too.
            num_experts: Entered where the config of a gate leaves
                `"num_experts"` open.
        """
        config = _for_copy(self.layer.get_config(), name)
        # A layer without the argument `name` has none in its config.
        if "name" in config:
            config["name"] = name
        if num_experts is not None and config.get("num_experts", 0) is None:
            config["num_experts"] = num_experts
        return type(self.layer).from_config(config)

    def serialize(self) -> dict[str, Any]:
        """Returns the template's config, with its class."""
        return keras.saving.serialize_keras_object(self.layer)


def with_templates(
    config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Returns the config of a layer with `expert` and `gate` revived."""

    return {
        **config,
        "expert": revive_layer(entry(config, "expert"), custom_objects),
        "gate": revive_layer(entry(config, "gate"), custom_objects),
    }


def _for_copy(config: Any, name: str) -> Any:
    """Returns a config, at all depths, with what must differ in a copy."""
    if isinstance(config, dict):
        # While a model is saved or loaded, Keras marks objects by ids and
        # revives equal ids as one object: copies would share their layers.
        return {
            key: _other_seed(value, name)
            if key == "seed" and type(value) is int
            else _for_copy(value, name)
            for key, value in config.items()
            if key != "shared_object_id"
        }
    if isinstance(config, tuple):
        return tuple(_for_copy(item, name) for item in config)
    if isinstance(config, list):
        return [_for_copy(item, name) for item in config]
    return config


def _other_seed(seed: int, name: str) -> int:
    # `hash` of a string differs from process to process.
    return zlib.crc32(f"{seed}/{name}".encode()) % 2**31
