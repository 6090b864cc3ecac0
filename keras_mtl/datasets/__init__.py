"""Small multi-task data sets."""

from keras_mtl.datasets.multi_digits import multi_digits

__all__ = ["multi_digits"]
