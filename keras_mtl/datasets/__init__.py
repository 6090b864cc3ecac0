"""Multi-task data: small data sets, and one out of a data set per task."""

from keras_mtl.datasets.multi_digits import multi_digits
from keras_mtl.datasets.multi_task_dataset import MultiTaskDataset

__all__ = ["MultiTaskDataset", "multi_digits"]
