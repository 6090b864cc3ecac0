"""Methods that merge K task gradients into one update."""

from typing import Any

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.aggregators.aligned_mtl import AlignedMTL
from keras_mtl.aggregators.cagrad import CAGrad
from keras_mtl.aggregators.config import ConFIG
from keras_mtl.aggregators.conicgrad import ConicGrad
from keras_mtl.aggregators.constant import Constant
from keras_mtl.aggregators.cr_mogm import CRMOGM
from keras_mtl.aggregators.db_mtl import DBMTL
from keras_mtl.aggregators.dual_proj import DualProj
from keras_mtl.aggregators.excess_mtl import ExcessMTL
from keras_mtl.aggregators.fairgrad import FairGrad
from keras_mtl.aggregators.go4align import GO4Align
from keras_mtl.aggregators.grad_drop import GradDrop
from keras_mtl.aggregators.grad_norm import GradNorm
from keras_mtl.aggregators.gradvac import GradVac
from keras_mtl.aggregators.grouped import Grouped
from keras_mtl.aggregators.imtl_g import IMTLG
from keras_mtl.aggregators.krum import Krum
from keras_mtl.aggregators.linear import LinearAggregator
from keras_mtl.aggregators.mean import Mean
from keras_mtl.aggregators.mgda import MGDA
from keras_mtl.aggregators.moco import MoCo
from keras_mtl.aggregators.modo import MoDo
from keras_mtl.aggregators.names import REGISTRY
from keras_mtl.aggregators.nash_mtl import NashMTL
from keras_mtl.aggregators.ntkmtl import NTKMTL
from keras_mtl.aggregators.pcd import PCD
from keras_mtl.aggregators.pcgrad import PCGrad
from keras_mtl.aggregators.random import Random
from keras_mtl.aggregators.sdmgrad import SDMGrad
from keras_mtl.aggregators.sum import Sum
from keras_mtl.aggregators.trimmed_mean import TrimmedMean
from keras_mtl.aggregators.upgrad import UPGrad
from keras_mtl.gradients.jacobian import Jacobian

REGISTRY.register("mean", Mean)
REGISTRY.register("sum", Sum)
REGISTRY.register("mgda", MGDA)
REGISTRY.register("pcgrad", PCGrad)
REGISTRY.register("cagrad", CAGrad)
REGISTRY.register("imtl_g", IMTLG)
REGISTRY.register("db_mtl", DBMTL)
REGISTRY.register("dual_proj", DualProj)
REGISTRY.register("fairgrad", FairGrad)
REGISTRY.register("nash_mtl", NashMTL)
REGISTRY.register("upgrad", UPGrad)
REGISTRY.register("grad_drop", GradDrop)
REGISTRY.register("trimmed_mean", TrimmedMean)
REGISTRY.register("moco", MoCo)
REGISTRY.register("excess_mtl", ExcessMTL)
REGISTRY.register("grad_norm", GradNorm)
REGISTRY.register("modo", MoDo)
REGISTRY.register("sdmgrad", SDMGrad)
REGISTRY.register("aligned_mtl", AlignedMTL)
REGISTRY.register("config", ConFIG)
REGISTRY.register("conicgrad", ConicGrad)
REGISTRY.register("gradvac", GradVac)
REGISTRY.register("krum", Krum)
REGISTRY.register("ntkmtl", NTKMTL)
REGISTRY.register("pcd", PCD)
REGISTRY.register("random", Random)
REGISTRY.register("go4align", GO4Align)
REGISTRY.register_nameless(Constant)
REGISTRY.register_nameless(CRMOGM)
REGISTRY.register_nameless(Grouped)


def get(identifier: Any) -> Aggregator | None:
    """Returns an aggregator for a name, a config or itself.

    Args:
        identifier: A name, such as `"cagrad"` or `"CAGrad"`, a config from
            `serialize`, an `Aggregator`, or `None`.

    Returns:
        An `Aggregator`, or `None` for `None`.

    Raises:
        ValueError: If there is no aggregator of that name.

    Example:

    ```python
    aggregator = keras_mtl.aggregators.get("mgda")
    ```
    """
    return REGISTRY.get(identifier)


def serialize(aggregator: Aggregator) -> dict[str, Any]:
    """Returns the config of an aggregator, with its class."""
    return REGISTRY.serialize(aggregator)


def deserialize(
    config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> Aggregator:
    """Returns an aggregator from the config that `serialize` gave.

    Args:
        config: The config.
        custom_objects: Classes of your own, by name. Defaults to `None`.

    Returns:
        An `Aggregator`.

    Raises:
        ValueError: If the config does not describe an aggregator.
    """
    return REGISTRY.deserialize(config, custom_objects)


__all__ = [
    "CRMOGM",
    "DBMTL",
    "IMTLG",
    "MGDA",
    "NTKMTL",
    "PCD",
    "Aggregator",
    "AlignedMTL",
    "CAGrad",
    "ConFIG",
    "ConicGrad",
    "Constant",
    "DualProj",
    "ExcessMTL",
    "FairGrad",
    "GO4Align",
    "GradDrop",
    "GradNorm",
    "GradVac",
    "GramianAggregator",
    "Grouped",
    "Jacobian",
    "Krum",
    "LinearAggregator",
    "Mean",
    "MoCo",
    "MoDo",
    "NashMTL",
    "PCGrad",
    "Random",
    "SDMGrad",
    "Sum",
    "TrimmedMean",
    "UPGrad",
    "deserialize",
    "get",
    "serialize",
]
