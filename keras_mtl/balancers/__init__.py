"""Loss balancers: from K task losses to K weights."""

from typing import Any

from keras_mtl.balancers.auto_lambda import AutoLambda as AutoLambda
from keras_mtl.balancers.balancer import Balancer as Balancer
from keras_mtl.balancers.cosmos import COSMOS as COSMOS
from keras_mtl.balancers.dwa import DWA as DWA
from keras_mtl.balancers.equal import Equal as Equal
from keras_mtl.balancers.famo import FAMO as FAMO
from keras_mtl.balancers.fixed import Fixed as Fixed
from keras_mtl.balancers.gls import GLS as GLS
from keras_mtl.balancers.imtl_l import IMTLL as IMTLL
from keras_mtl.balancers.log import Log as Log
from keras_mtl.balancers.pbi import PBI as PBI
from keras_mtl.balancers.rlw import RLW as RLW
from keras_mtl.balancers.soft_adapt import SoftAdapt as SoftAdapt
from keras_mtl.balancers.stch import STCH as STCH
from keras_mtl.balancers.uw import UW as UW
from keras_mtl.registry import Registry

REGISTRY = Registry("balancer", Balancer)
REGISTRY.register("equal", Equal)
REGISTRY.register("auto_lambda", AutoLambda)
REGISTRY.register("log", Log)
REGISTRY.register("uw", UW)
REGISTRY.register("imtl_l", IMTLL)
REGISTRY.register("gls", GLS)
REGISTRY.register("rlw", RLW)
REGISTRY.register("dwa", DWA)
REGISTRY.register("stch", STCH)
REGISTRY.register("famo", FAMO)
REGISTRY.register("cosmos", COSMOS)
REGISTRY.register("pbi", PBI)
REGISTRY.register("soft_adapt", SoftAdapt)
REGISTRY.register_nameless(Fixed)


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
    "AutoLambda",
    "COSMOS",
    "DWA",
    "FAMO",
    "GLS",
    "IMTLL",
    "PBI",
    "RLW",
    "STCH",
    "UW",
    "Balancer",
    "Equal",
    "Fixed",
    "Log",
    "SoftAdapt",
    "deserialize",
    "get",
    "serialize",
]
