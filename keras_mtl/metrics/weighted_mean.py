"""Metrics that are a mean over samples or pixels."""

from typing import Any

import keras
from keras import ops

from keras_mtl.metrics.long_sum import LongSum
from keras_mtl.metrics.long_sum import sum_all
from keras_mtl.metrics.sample_weights import weighted


class WeightedMean(keras.metrics.Metric):
    """Mean over everything since the last reset; 0 if there is nothing.

    Args:
        name: Optional name.
        dtype: Dtype of the computation. Defaults to `None`: floatx.
    """

    def __init__(self, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.sums = LongSum(self, (2,))

    def add(self, values: Any, weights: Any) -> None:
        """Takes values with weights of the same shape into the mean."""
        self.sums.add(
            ops.stack([sum_all(weighted(values, weights)), sum_all(weights)])
        )

    def result(self) -> Any:
        total, weight = ops.unstack(self.sums.value())
        return ops.divide_no_nan(total, weight)
