"""Where aggregators are found by name."""

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.registry import Registry

#: Filled by the package, which knows them all.
REGISTRY = Registry("aggregator", Aggregator)
