"""Models that train their tasks by a strategy."""

from keras_mtl.models.backbones.dense_prediction_model import (
    dense_prediction_model as dense_prediction_model,
)
from keras_mtl.models.backbones.feature_pyramid import (
    feature_pyramid as feature_pyramid,
)
from keras_mtl.models.multi_task_model import MultiTaskModel as MultiTaskModel
from keras_mtl.models.networks import TrunkAndHeads as TrunkAndHeads

__all__ = [
    "MultiTaskModel",
    "TrunkAndHeads",
    "dense_prediction_model",
    "feature_pyramid",
]
