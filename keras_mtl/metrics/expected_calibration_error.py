"""Distance between confidence and accuracy."""

from typing import Any

from keras import ops

from keras_mtl.arguments import MOST_COUNTERS
from keras_mtl.arguments import checked_integer
from keras_mtl.export import keras_mtl_export
from keras_mtl.metrics.class_labels import class_labels
from keras_mtl.metrics.class_labels import is_counted
from keras_mtl.metrics.class_labels import predicted_classes
from keras_mtl.metrics.class_labels import probabilities
from keras_mtl.metrics.long_sum import LongSum
from keras_mtl.metrics.long_sum import sum_by_index
from keras_mtl.metrics.probability_metric import ProbabilityMetric
from keras_mtl.metrics.sample_weights import as_tensor
from keras_mtl.metrics.sample_weights import weighted
from keras_mtl.metrics.sample_weights import weights_like
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.metrics.ExpectedCalibrationError")
class ExpectedCalibrationError(ProbabilityMetric):
    """Mean distance between how sure a model is and how often it is right.

    Predictions are binned by their confidence, the probability of the most
    probable class; in each bin the mean confidence is compared with the
    accuracy. Lower is better: at 0, of the predictions made with 80 %
    confidence 80 % are right.

    `sum_b n_b / n |accuracy_b - confidence_b|`

    Args:
        num_bins: Number of bins of equal width between 0 and 1, each with its
            upper but not its lower end. Defaults to `10`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        ignore_class: Optional class index of labels that do not count.
            Defaults to `None`.
        name: Name of the metric. Defaults to `"expected_calibration_error"`.
        dtype: Dtype of the computation. Defaults to `None`: floatx.

    Call arguments:
        y_true: As for `keras_mtl.metrics.BrierScore`.
        y_pred: Probabilities or logits `[..., classes]`. With one class, that
            of a sigmoid, the confidence is the greater of p and 1 - p.
        sample_weight: Optional weights `[batch]` or `[...]`.

    Raises:
        ValueError: If an argument is out of range, or the shapes of labels
            and predictions do not fit.

    Example:

    ```python
    metric = keras_mtl.metrics.ExpectedCalibrationError()
    metric.update_state([0, 1], [[0.8, 0.2], [0.75, 0.25]])
    metric.result()  # 0.275: one of two is right, at confidence 0.775
    ```

    References:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017,
        equation 3, [arXiv:1706.04599](https://arxiv.org/abs/1706.04599),
        with 15 bins; the published code of FS-MTL uses 10.
    """

    def __init__(
        self,
        num_bins: int = 10,
        from_logits: bool = False,
        ignore_class: int | None = None,
        name: str = "expected_calibration_error",
        dtype: Any = None,
    ):
        super().__init__(from_logits, ignore_class, name, dtype)
        self.num_bins = checked_integer(
            "num_bins", num_bins, high=MOST_COUNTERS
        )
        # Weight, accuracy and confidence, by bin.
        self.sums = LongSum(self, (3, self.num_bins))

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> None:
        y_pred = as_tensor(y_pred, self.dtype)
        labels = class_labels(y_true, y_pred)
        scores = probabilities(y_pred, self.from_logits)
        is_right = ops.equal(labels, predicted_classes(scores))
        # `ops.max` does not go through `torch.compile`.
        confidence = ops.amax(scores, axis=-1)
        weights = weights_like(
            confidence, sample_weight, is_counted(labels, self.ignore_class)
        )
        confidence, weights, is_right = (
            ops.reshape(tensor, (-1,))
            for tensor in (confidence, weights, is_right)
        )
        edges = ops.arange(1, self.num_bins, dtype=self.dtype) / self.num_bins
        bins = ops.sum(ops.cast(confidence[:, None] > edges, "int32"), axis=-1)
        right = ops.cast(is_right, self.dtype)
        self.sums.add(
            ops.stack(
                [
                    sum_by_index(values, bins, self.num_bins)
                    for values in (
                        weights,
                        weights * right,
                        weighted(confidence, weights),
                    )
                ]
            )
        )

    def result(self) -> Tensor:
        weight, right, confidence = ops.unstack(self.sums.value())
        return ops.divide_no_nan(
            ops.sum(ops.abs(right - confidence)), ops.sum(weight)
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_bins": self.num_bins}
