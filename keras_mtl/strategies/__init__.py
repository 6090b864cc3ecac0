"""Strategies: compositions of balancer, flatness and aggregator."""

from typing import Any

import keras

from keras_mtl import aggregators
from keras_mtl import balancers
from keras_mtl import flatness
from keras_mtl.component import Component
from keras_mtl.registry import Registry
from keras_mtl.registry import unknown_name
from keras_mtl.registry import wrong_type
from keras_mtl.revive import revive
from keras_mtl.strategies.db_mtl import DBMTL as DBMTL
from keras_mtl.strategies.fs_mtl import FSMTL as FSMTL
from keras_mtl.strategies.samo import SAMO as SAMO
from keras_mtl.strategies.strategy import Strategy as Strategy

PRESETS = Registry("strategy", Strategy)
PRESETS.register("fs_mtl", FSMTL)
PRESETS.register("db_mtl", DBMTL)
PRESETS.register("samo", SAMO)
# The plain weighted sum of losses, under its usual name.
PRESETS.register("ew", Strategy)


def names() -> list[str]:
    """Returns every name that `get` takes.

    The presets, and each aggregator, balancer and flatness regularizer that
    needs no argument.

    Example:

    ```python
    "fs_mtl" in keras_mtl.strategies.names()  # True
    ```
    """
    return sorted(
        {
            *PRESETS.names(),
            *aggregators.REGISTRY.names(),
            *balancers.REGISTRY.names(),
            *flatness.REGISTRY.names(),
        }
    )


def get(identifier: Any) -> Strategy | None:
    """Returns a strategy for a name, a config, or a component.

    Args:
        identifier: A name from `names()`, a config from `serialize`, a
            `Strategy`, an aggregator, balancer or flatness regularizer (the
            other components are then the defaults), or `None`.

    Returns:
        A `Strategy`, or `None` for `None`.

    Raises:
        ValueError: If there is no such strategy; names the nearest one.

    Example:

    ```python
    keras_mtl.strategies.get("fs_mtl")
    keras_mtl.strategies.get(keras_mtl.aggregators.MGDA())
    ```
    """
    if identifier is None or isinstance(identifier, Strategy):
        return identifier
    if isinstance(identifier, dict):
        return get(revive("strategy", Component, identifier))
    if isinstance(identifier, aggregators.Aggregator):
        return Strategy(aggregator=identifier)
    if isinstance(identifier, balancers.Balancer):
        return Strategy(balancer=identifier)
    if isinstance(identifier, flatness.Flatness):
        return Strategy(flatness=identifier)
    if isinstance(identifier, str):
        if identifier in PRESETS:
            return PRESETS.get(identifier)
        if identifier in aggregators.REGISTRY:
            return Strategy(aggregator=identifier)
        if identifier in balancers.REGISTRY:
            return Strategy(balancer=identifier)
        if identifier in flatness.REGISTRY:
            return Strategy(flatness=identifier)
        for registry in (aggregators.REGISTRY, balancers.REGISTRY):
            registry.check_has_name(identifier)
        raise unknown_name("strategy", identifier, names())
    raise wrong_type(
        "a strategy: a name, a config, a `keras_mtl.Strategy`, or an "
        "aggregator, balancer or flatness regularizer",
        identifier,
    )


def class_of(name: str) -> type | None:
    """Returns the class that a name means, `None` if there is no such one.

    Args:
        name: A name that `get` takes, or that of a component whose arguments
            have no defaults.
    """
    for registry in (
        PRESETS,
        aggregators.REGISTRY,
        balancers.REGISTRY,
        flatness.REGISTRY,
    ):
        found = registry.class_of(name)
        if found is not None:
            return found
    return None


def serialize(strategy: Strategy) -> dict[str, Any]:
    """Returns the config of a strategy."""
    return keras.saving.serialize_keras_object(strategy)


def deserialize(
    config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> Strategy:
    """Returns a strategy from the config that `serialize` gave."""
    return PRESETS.deserialize(config, custom_objects)


__all__ = [
    "DBMTL",
    "FSMTL",
    "SAMO",
    "Strategy",
    "deserialize",
    "get",
    "names",
    "serialize",
]
