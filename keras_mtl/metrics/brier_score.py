"""Brier score of predicted probabilities."""

from typing import Any

from keras import ops

from keras_mtl.export import keras_mtl_export
from keras_mtl.metrics.class_labels import class_labels
from keras_mtl.metrics.class_labels import is_counted
from keras_mtl.metrics.class_labels import probabilities
from keras_mtl.metrics.probability_metric import ProbabilityMetric
from keras_mtl.metrics.sample_weights import as_tensor
from keras_mtl.metrics.sample_weights import weights_like
from keras_mtl.metrics.weighted_mean import WeightedMean
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.metrics.BrierScore")
class BrierScore(ProbabilityMetric, WeightedMean):
    """Mean squared distance of the probabilities to the labels.

    It measures accuracy and calibration at once, and is smallest for the true
    probabilities. Lower is better; 0 is perfect and 2 the worst.

    `mean_i sum_c (p_ic - y_ic)^2`, with `y_i` one-hot

    Args:
        from_logits: Whether predictions are logits. Defaults to `False`.
        ignore_class: Optional class index of labels that do not count.
            Defaults to `None`.
        name: Name of the metric. Defaults to `"brier_score"`.
        dtype: Dtype of the computation. Defaults to `None`: floatx.

    Call arguments:
        y_true: Class indices `[...]` or `[..., 1]`, or one-hot
            `[..., classes]`.
        y_pred: Probabilities or logits `[..., classes]`. With one class, that
            of a sigmoid, both classes count: `2 (p - y)^2`.
        sample_weight: Optional weights `[batch]` or `[...]`.

    Raises:
        ValueError: If `ignore_class` is no integer, or the shapes of labels
            and predictions do not fit.

    Example:

    ```python
    metric = keras_mtl.metrics.BrierScore()
    metric.update_state([0, 1], [[0.9, 0.1], [0.4, 0.6]])
    metric.result()  # 0.17 = (0.02 + 0.32) / 2
    ```

    References:
        Brier, Verification of forecasts expressed in terms of probability,
        Monthly Weather Review 78, 1950, equation 2.
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        name: str = "brier_score",
        dtype: Any = None,
    ):
        super().__init__(from_logits, ignore_class, name, dtype)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> None:
        y_pred = as_tensor(y_pred, self.dtype)
        labels = class_labels(y_true, y_pred)
        scores = probabilities(y_pred, self.from_logits)
        # Not `one_hot`: a class to ignore may be no class.
        classes = ops.arange(scores.shape[-1], dtype=labels.dtype)
        targets = ops.cast(labels[..., None] == classes, self.dtype)
        values = ops.sum(ops.square(scores - targets), axis=-1)
        weights = weights_like(
            values, sample_weight, is_counted(labels, self.ignore_class)
        )
        self.add(values, weights)
