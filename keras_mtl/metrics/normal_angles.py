"""Angles between predicted and true surface normals."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_mtl.export import keras_mtl_export
from keras_mtl.metrics.long_sum import LongSum
from keras_mtl.metrics.long_sum import sum_all
from keras_mtl.metrics.long_sum import sum_by_index
from keras_mtl.metrics.sample_weights import as_tensor
from keras_mtl.metrics.sample_weights import weighted
from keras_mtl.metrics.sample_weights import weights_like
from keras_mtl.typing import Tensor

THRESHOLDS = (11.25, 22.5, 30)

#: Bins of the histogram that the median is read from: degrees, and parts.
DEGREES = 180
PARTS = 100


@keras_mtl_export("keras_mtl.metrics.NormalAngles")
class NormalAngles(keras.metrics.Metric):
    """Mean and median angle to the true normals, and shares of small angles.

    The five numbers by which surface normals are judged, in degrees and as
    shares from 0 to 1. Pixels whose true normal is zero or NaN have none and
    do not count. Neither predictions nor labels need to have length 1.

    A running median does not exist: it is read from a histogram in steps of
    0.01 degrees, the middle of the bin, so that it is off by 0.005 degrees at
    most. The other values are not binned.

    Args:
        name: Name of the metric, with which the names of its values begin.
            Two tasks need two names. Defaults to `"angle"`.
        dtype: Dtype of the computation. Defaults to `None`: floatx.

    Call arguments:
        y_true: Normals `[..., 3]`.
        y_pred: Predicted normals `[..., 3]`. A prediction of zero is taken
            for one at 90 degrees.
        sample_weight: Optional weights `[batch]` or `[...]`, for instance one
            per pixel.

    Result:
        `result()` is a dict of five scalars, `"angle_mean"`,
        `"angle_median"`, `"angle_within_11.25"`, `"angle_within_22.5"` and
        `"angle_within_30"`; Keras puts them into its logs under these names.

    Raises:
        ValueError: If labels or predictions do not have 3 as their last
            dimension.

    Example:

    ```python
    metric = keras_mtl.metrics.NormalAngles()
    up, side = [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]
    metric.update_state([up, up, up], [up, side, [1.0, 0.0, 1.0]])
    metric.result()["angle_mean"]  # 45.0
    metric.result()["angle_within_30"]  # 0.3333
    ```

    References:
        Fouhey et al., Data-Driven 3D Primitives for Single Image
        Understanding, ICCV 2013, and, for NYUv2 as a multi-task problem, S.
        Liu et al., End-to-End Multi-Task Learning with Attention, CVPR 2019,
        [arXiv:1803.10704](https://arxiv.org/abs/1803.10704). The published
        code averages medians of batches; here it is that of all pixels.
    """

    def __init__(self, name: str = "angle", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        # Weight, angles, and weights within the thresholds.
        self.sums = LongSum(self, (2 + len(THRESHOLDS),))
        self.histogram = LongSum(self, (DEGREES * PARTS,))

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> None:
        y_true = as_tensor(y_true, self.dtype)
        y_pred = as_tensor(y_pred, self.dtype)
        if y_true.shape[-1] != 3 or y_pred.shape[-1] != 3:
            raise ValueError(
                "Normals must have 3 as their last dimension. Received: "
                f"{tuple(y_true.shape)} and {tuple(y_pred.shape)}"
            )
        is_valid = ops.sum(ops.square(y_true), axis=-1) > 0
        angles = _angles(y_true, y_pred)
        weights = weights_like(angles, sample_weight, is_valid)
        angles = ops.where(is_valid, angles, ops.zeros_like(angles))
        within = [
            sum_all(ops.where(angles < limit, weights, 0.0))
            for limit in THRESHOLDS
        ]
        self.sums.add(
            ops.stack(
                [sum_all(weights), sum_all(weighted(angles, weights)), *within]
            )
        )
        bins = ops.cast(ops.floor(angles * PARTS), "int32")
        bins = ops.clip(bins, 0, DEGREES * PARTS - 1)
        self.histogram.add(
            sum_by_index(
                ops.reshape(weights, (-1,)),
                ops.reshape(bins, (-1,)),
                DEGREES * PARTS,
            )
        )

    def result(self) -> dict[str, Tensor]:
        weight, *sums = ops.unstack(self.sums.value())
        mean, *within = (ops.divide_no_nan(value, weight) for value in sums)
        results = {
            f"{self.name}_mean": mean,
            f"{self.name}_median": _median(self.histogram.value()),
        }
        for limit, share in zip(THRESHOLDS, within, strict=True):
            results[f"{self.name}_within_{limit}"] = share
        return results


def _angles(left: Tensor, right: Tensor) -> Tensor:
    """Angles in degrees, accurate also where the cosine is close to 1."""
    cosine = ops.sum(left * right, axis=-1)
    # Not `ops.cross`, of which torch warns.
    x, y, z = (left[..., axis] for axis in range(3))
    u, v, w = (right[..., axis] for axis in range(3))
    cross = ops.stack([y * w - z * v, z * u - x * w, x * v - y * u])
    sine = ops.norm(cross, axis=0)
    angles = ops.arctan2(sine, cosine) * (180.0 / math.pi)
    has_none = ops.all(ops.equal(right, 0), axis=-1)
    return ops.where(has_none, ops.cast(90.0, angles.dtype), angles)


def _median(histogram: Tensor) -> Tensor:
    """Middle of the bins below and above which half of the weight lies."""
    parts = ops.reshape(histogram, (DEGREES, PARTS))
    degrees = ops.sum(parts, axis=-1)
    # In two steps: the cumulative sum of all bins would take longer.
    ends = ops.cumsum(degrees)
    half = ends[-1] / 2

    def bin_of(is_before: Callable[[Tensor], Tensor]) -> Tensor:
        degree = ops.sum(ops.cast(is_before(ends), "int32"))
        degree = ops.minimum(degree, DEGREES - 1)
        before = ops.take(ends - degrees, degree)
        ends_of_parts = before + ops.cumsum(ops.take(parts, degree, axis=0))
        part = ops.sum(ops.cast(is_before(ends_of_parts), "int32"))
        part = ops.minimum(part, PARTS - 1)
        return ops.cast(degree * PARTS + part, histogram.dtype)

    lower = bin_of(lambda sums: sums < half)
    upper = bin_of(lambda sums: sums <= half)
    median = ((lower + upper) / 2 + 0.5) / PARTS
    return ops.where(half > 0, median, ops.zeros_like(median))
