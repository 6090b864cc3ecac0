"""Absolute and relative error of predicted depth."""

from typing import Any

import keras
from keras import ops

from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.metrics.long_sum import LongSum
from keras_mtl.metrics.long_sum import sum_all
from keras_mtl.metrics.sample_weights import as_tensor
from keras_mtl.metrics.sample_weights import drop_last
from keras_mtl.metrics.sample_weights import weighted
from keras_mtl.metrics.sample_weights import weights_like
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.metrics.DepthErrors")
class DepthErrors(keras.metrics.Metric):
    """Mean absolute and mean relative error over pixels of known depth.

    Sensors leave holes, which data sets mark with depth 0 or NaN: these
    pixels do not count. Both means are over all other pixels of all images.

    `mean |z - y|` and `mean |z - y| / y`, with `y > min_depth` the depth and
    `z` the prediction

    Args:
        min_depth: Only pixels that are deeper count, a number of at least 0.
            Defaults to `0.0`.
        max_depth: Only pixels count that are not deeper. Defaults to `None`:
            no limit.
        name: Name of the metric, with which the names of its values begin.
            Two tasks need two names. Defaults to `"depth"`.
        dtype: Dtype of the computation. Defaults to `None`: floatx.

    Call arguments:
        y_true: Depths `[...]` or `[..., 1]`, for instance of images.
        y_pred: Predicted depths of either shape.
        sample_weight: Optional weights `[batch]` or `[...]`, for instance one
            per pixel.

    Result:
        `result()` is a dict of two scalars, `"depth_absolute_error"` and
        `"depth_relative_error"`; Keras puts them into its logs under these
        names.

    Raises:
        ValueError: If an argument is out of range, or the shapes of depths
            and predictions do not fit.

    Example:

    ```python
    depths = [2.0, 4.0, 0.0]  # The last one is unknown.
    metric = keras_mtl.metrics.DepthErrors()
    metric.update_state(depths, [1.0, 5.0, 9.0])
    metric.result()
    # {"depth_absolute_error": 1.0, "depth_relative_error": 0.375}
    ```

    References:
        Eigen et al., Depth Map Prediction from a Single Image using a
        Multi-Scale Deep Network, NeurIPS 2014,
        [arXiv:1406.2283](https://arxiv.org/abs/1406.2283). The published
        code of most multi-task methods averages the means of batches, which
        weighs pixels by how many others of their batch are known.
    """

    def __init__(
        self,
        min_depth: float = 0.0,
        max_depth: float | None = None,
        name: str = "depth",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.min_depth = checked_number("min_depth", min_depth)
        if max_depth is not None:
            max_depth = checked_number(
                "max_depth", max_depth, f"({self.min_depth}, inf)"
            )
        self.max_depth = max_depth
        self.sums = LongSum(self, (3,))

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> None:
        y_true = as_tensor(y_true, self.dtype)
        y_pred = as_tensor(y_pred, self.dtype)
        rank = min(len(y_true.shape), len(y_pred.shape))
        y_true, y_pred = drop_last(y_true, rank), drop_last(y_pred, rank)
        if len(y_true.shape) != len(y_pred.shape):
            raise ValueError(
                "Depths and predictions must have the same shape, but for a "
                f"last dimension of 1. Received: {tuple(y_true.shape)} and "
                f"{tuple(y_pred.shape)}"
            )
        is_valid = y_true > self.min_depth
        if self.max_depth is not None:
            is_valid = ops.logical_and(is_valid, y_true <= self.max_depth)
        weights = weights_like(y_true, sample_weight, is_valid)
        # Where there is no depth the error may be NaN, or a division by 0.
        depths = ops.where(is_valid, y_true, ops.ones_like(y_true))
        errors = weighted(ops.abs(y_pred - depths), weights)
        self.sums.add(
            ops.stack(
                [sum_all(errors), sum_all(errors / depths), sum_all(weights)]
            )
        )

    def result(self) -> dict[str, Tensor]:
        absolute, relative, weight = ops.unstack(self.sums.value())
        return {
            f"{self.name}_absolute_error": ops.divide_no_nan(absolute, weight),
            f"{self.name}_relative_error": ops.divide_no_nan(relative, weight),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "min_depth": self.min_depth,
            "max_depth": self.max_depth,
        }
