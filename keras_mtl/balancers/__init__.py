"""Loss balancers: from K task losses to K weights."""

from typing import Any

from keras_mtl.balancers.balancer import Balancer as Balancer
from keras_mtl.balancers.equal import Equal as Equal
from keras_mtl.balancers.fixed import Fixed as Fixed
from keras_mtl.balancers.log import Log as Log
from keras_mtl.registry import Registry

REGISTRY = Registry("balancer", Balancer)
REGISTRY.register("equal", Equal)
REGISTRY.register("log", Log)


def get(identifier: Any) -> Balancer:
    """Returns a balancer for a name, a config or an instance.

    Args:
        identifier: A name such as `"log"`, a config from `serialize`, or a
            `Balancer`.

    Raises:
        ValueError: If there is no such balancer; names the nearest one.
    """
    return REGISTRY.get(identifier)


def serialize(balancer: Balancer) -> dict[str, Any]:
    """Returns the config of a balancer."""
    return REGISTRY.serialize(balancer)


def deserialize(
    config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> Balancer:
    """Returns a balancer from its config."""
    return REGISTRY.deserialize(config, custom_objects)


__all__ = [
    "Balancer",
    "Equal",
    "Fixed",
    "Log",
    "deserialize",
    "get",
    "serialize",
]
