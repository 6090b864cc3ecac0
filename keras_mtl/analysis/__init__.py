"""What trained models are like: how sharp the minima of their tasks are."""

from keras_mtl.analysis.sharpness import Sharpness as Sharpness
from keras_mtl.analysis.task_sharpness import task_sharpness as task_sharpness

__all__ = [
    "Sharpness",
    "task_sharpness",
]
