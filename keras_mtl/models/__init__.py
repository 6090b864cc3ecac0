"""Models that train their tasks by a strategy."""

from keras_mtl.models.multi_task_model import MultiTaskModel as MultiTaskModel
from keras_mtl.models.networks import TrunkAndHeads as TrunkAndHeads

__all__ = ["MultiTaskModel", "TrunkAndHeads"]
