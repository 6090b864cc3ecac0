"""Flatness regularizers: where the task gradients are taken again."""

from typing import Any

from keras_mtl.flatness.flatness import Flatness as Flatness
from keras_mtl.flatness.global_sam import GlobalSAM as GlobalSAM
from keras_mtl.flatness.momentum_sam import MomentumSAM as MomentumSAM
from keras_mtl.flatness.samo import SAMO as SAMO
from keras_mtl.flatness.task_sam import TaskSAM as TaskSAM
from keras_mtl.registry import Registry

REGISTRY = Registry("flatness regularizer", Flatness)
REGISTRY.register("task_sam", TaskSAM)
REGISTRY.register("global_sam", GlobalSAM)
REGISTRY.register("samo", SAMO)
REGISTRY.register("momentum_sam", MomentumSAM)


def get(identifier: Any) -> Flatness | None:
    """Returns a flatness regularizer for a name, a config or an instance.

    Args:
        identifier: A name such as `"task_sam"`, a config from `serialize`, a
            `Flatness`, or `None`.

    Raises:
        ValueError: If there is no such regularizer; names the nearest one.
    """
    return REGISTRY.get(identifier)


def serialize(flatness: Flatness) -> dict[str, Any]:
    """Returns the config of a flatness regularizer."""
    return REGISTRY.serialize(flatness)


def deserialize(
    config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> Flatness:
    """Returns a flatness regularizer from its config."""
    return REGISTRY.deserialize(config, custom_objects)


__all__ = [
    "SAMO",
    "Flatness",
    "GlobalSAM",
    "MomentumSAM",
    "TaskSAM",
    "deserialize",
    "get",
    "serialize",
]
