"""Losses of tasks that are more than one output and its labels."""

from keras_mtl.losses.derivative import derivative as derivative
from keras_mtl.losses.task import Task as Task

__all__ = ["Task", "derivative"]
