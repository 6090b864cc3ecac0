"""Methods that merge K task gradients into one update."""

from typing import Any

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.aggregators.cagrad import CAGrad
from keras_mtl.aggregators.constant import Constant
from keras_mtl.aggregators.db_mtl import DBMTL
from keras_mtl.aggregators.imtl_g import IMTLG
from keras_mtl.aggregators.jacobian import Jacobian
from keras_mtl.aggregators.linear import LinearAggregator
from keras_mtl.aggregators.mean import Mean
from keras_mtl.aggregators.mgda import MGDA
from keras_mtl.aggregators.pcgrad import PCGrad
from keras_mtl.aggregators.sum import Sum
from keras_mtl.registry import Registry

REGISTRY = Registry("aggregator", Aggregator)
# `Constant` has no name: without weights there is nothing to construct.
REGISTRY.register("mean", Mean)
REGISTRY.register("sum", Sum)
REGISTRY.register("mgda", MGDA)
REGISTRY.register("pcgrad", PCGrad)
REGISTRY.register("cagrad", CAGrad)
REGISTRY.register("imtl_g", IMTLG)
REGISTRY.register("db_mtl", DBMTL)


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
    "CAGrad",
    "Constant",
    "DBMTL",
    "Aggregator",
    "GramianAggregator",
    "IMTLG",
    "Jacobian",
    "LinearAggregator",
    "MGDA",
    "Mean",
    "PCGrad",
    "Sum",
    "deserialize",
    "get",
    "serialize",
]
