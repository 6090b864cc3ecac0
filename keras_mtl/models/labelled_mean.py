"""The mean loss of a task over batches that have labels of it."""

import keras
from keras import ops

from keras_mtl.typing import Tensor


class LabelledMean(keras.metrics.Mean):
    """A running mean that is NaN, not 0, while it is of nothing.

    A task without labels in an epoch has no loss. As 0 it would be the best
    there ever was to callbacks that watch it.
    """

    def result(self) -> Tensor:
        count = ops.convert_to_tensor(self.count)
        mean = ops.divide(self.total, ops.where(count > 0, count, 1.0))
        return ops.where(count > 0, mean, float("nan"))
