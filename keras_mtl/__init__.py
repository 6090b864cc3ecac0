"""Multi-task learning for Keras 3 on TensorFlow, JAX and torch."""

from keras_mtl.backend_choice import choose_backend

# Before anything imports keras.
choose_backend()

# ruff: noqa: E402
from keras_mtl import aggregators as aggregators
from keras_mtl import analysis as analysis
from keras_mtl import balancers as balancers
from keras_mtl import callbacks as callbacks
from keras_mtl import comparison as comparison
from keras_mtl import datasets as datasets
from keras_mtl import flatness as flatness
from keras_mtl import layers as layers
from keras_mtl import losses as losses
from keras_mtl import metrics as metrics
from keras_mtl import models as models
from keras_mtl import strategies as strategies
from keras_mtl import visualization as visualization
from keras_mtl.losses.derivative import derivative as derivative
from keras_mtl.models import MultiTaskModel as MultiTaskModel
from keras_mtl.strategies import Strategy as Strategy
from keras_mtl.training.monitor import NonFiniteError as NonFiniteError

__version__ = "0.2.0"

__all__ = [
    "MultiTaskModel",
    "NonFiniteError",
    "Strategy",
    "__version__",
    "aggregators",
    "analysis",
    "balancers",
    "callbacks",
    "comparison",
    "datasets",
    "derivative",
    "flatness",
    "layers",
    "losses",
    "metrics",
    "models",
    "strategies",
    "visualization",
]
