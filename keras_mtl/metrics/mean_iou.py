"""Intersection over union of predicted and labelled pixels."""

from typing import Any

import keras
from keras import ops

from keras_mtl.arguments import MOST_COUNTERS
from keras_mtl.arguments import checked_integer
from keras_mtl.export import keras_mtl_export
from keras_mtl.metrics.class_labels import checked_ignore_class
from keras_mtl.metrics.class_labels import class_labels
from keras_mtl.metrics.class_labels import is_counted
from keras_mtl.metrics.class_labels import predicted_classes
from keras_mtl.metrics.long_sum import LongSum
from keras_mtl.metrics.long_sum import sum_by_index
from keras_mtl.metrics.sample_weights import as_tensor
from keras_mtl.metrics.sample_weights import weights_like
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.metrics.MeanIoU")
class MeanIoU(keras.metrics.Metric):
    """Mean over classes of intersection over union.

    The usual measure of semantic segmentation. Pixels are counted over all
    images, as NYUv2 and Cityscapes are evaluated; the mean is over the
    classes that occur in labels or predictions.

    `mean_c |true_c and predicted_c| / |true_c or predicted_c|`

    Beyond `keras.metrics.MeanIoU`, it takes probabilities or logits of all
    classes, may ignore a label that is no class, and counts more pixels than
    float32 can.

    Args:
        num_classes: Number of classes, at least 2.
        ignore_class: Optional class index of labels that do not count, for
            instance `-1` or `255`. Defaults to `None`.
        name: Name of the metric. Defaults to `"mean_iou"`.
        dtype: Dtype of the computation. Defaults to `None`: floatx.

    Call arguments:
        y_true: Class indices `[...]` or `[..., 1]`, or one-hot
            `[..., classes]`. An index that is no class is never predicted
            right.
        y_pred: Probabilities or logits `[..., classes]`.
        sample_weight: Optional weights `[batch]` or `[...]`, for instance one
            per pixel.

    Raises:
        ValueError: If an argument is out of range, or the shapes of labels
            and predictions do not fit.

    Example:

    ```python
    metric = keras_mtl.metrics.MeanIoU(num_classes=2, ignore_class=-1)
    metric.update_state([0, 0, 1, -1], [[1, 0], [0, 1], [0, 1], [0, 1]])
    metric.result()  # 0.5: 1/2 for class 0, 1/2 for class 1
    ```
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = None,
        name: str = "mean_iou",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.num_classes = checked_integer(
            "num_classes", num_classes, 2, MOST_COUNTERS
        )
        self.ignore_class = checked_ignore_class(ignore_class)
        # Labelled, predicted, and both, by class.
        self.counts = LongSum(self, (3, self.num_classes))

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> None:
        y_pred = as_tensor(y_pred, self.dtype)
        if y_pred.shape[-1] != self.num_classes:
            raise ValueError(
                f"Predictions must have {self.num_classes} columns, one per "
                f"class. Received: shape {tuple(y_pred.shape)}"
            )
        labels = class_labels(y_true, y_pred)
        classes = predicted_classes(y_pred)
        weights = weights_like(
            ops.cast(ops.ones_like(labels), self.dtype),
            sample_weight,
            is_counted(labels, self.ignore_class),
        )
        labels, classes, weights = (
            ops.reshape(tensor, (-1,)) for tensor in (labels, classes, weights)
        )
        nothing = ops.zeros_like(weights)
        both = ops.where(ops.equal(labels, classes), weights, nothing)
        # Every index needs a place, also that of a label without a class.
        places = ops.clip(labels, 0, self.num_classes - 1)
        labelled = ops.where(ops.equal(labels, places), weights, nothing)
        self.counts.add(
            ops.stack(
                [
                    sum_by_index(values, indices, self.num_classes)
                    for values, indices in (
                        (labelled, places),
                        (weights, classes),
                        (both, places),
                    )
                ]
            )
        )

    def result(self) -> Tensor:
        true, predicted, both = ops.unstack(self.counts.value())
        union = true + predicted - both
        occurs = ops.cast(union > 0, union.dtype)
        shares = ops.divide_no_nan(both, union)
        return ops.divide_no_nan(ops.sum(shares), ops.sum(occurs))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
        }
