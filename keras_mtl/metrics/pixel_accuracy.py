"""Share of pixels that are classified right."""

from typing import Any

from keras import ops

from keras_mtl.export import keras_mtl_export
from keras_mtl.metrics.class_labels import checked_ignore_class
from keras_mtl.metrics.class_labels import class_labels
from keras_mtl.metrics.class_labels import is_counted
from keras_mtl.metrics.class_labels import predicted_classes
from keras_mtl.metrics.sample_weights import as_tensor
from keras_mtl.metrics.sample_weights import weights_like
from keras_mtl.metrics.weighted_mean import WeightedMean
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.metrics.PixelAccuracy")
class PixelAccuracy(WeightedMean):
    """Share of the pixels whose class is predicted right.

    Over all pixels of all images, without those of a class to ignore, such as
    the unlabelled ones of NYUv2 and Cityscapes.

    Args:
        ignore_class: Optional class index of labels that do not count, for
            instance `-1` or `255`. Defaults to `None`.
        name: Name of the metric. Defaults to `"pixel_accuracy"`.
        dtype: Dtype of the computation. Defaults to `None`: floatx.

    Call arguments:
        y_true: Class indices `[...]` or `[..., 1]`, or one-hot
            `[..., classes]`.
        y_pred: Probabilities or logits `[..., classes]`, of two classes or
            more.
        sample_weight: Optional weights `[batch]` or `[...]`, for instance one
            per pixel.

    Raises:
        ValueError: If `ignore_class` is no integer, or the shapes of labels
            and predictions do not fit.

    Example:

    ```python
    metric = keras_mtl.metrics.PixelAccuracy(ignore_class=-1)
    metric.update_state([0, 1, -1], [[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    metric.result()  # 0.5
    ```
    """

    def __init__(
        self,
        ignore_class: int | None = None,
        name: str = "pixel_accuracy",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.ignore_class = checked_ignore_class(ignore_class)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> None:
        y_pred = as_tensor(y_pred, self.dtype)
        labels = class_labels(y_true, y_pred)
        is_right = ops.equal(labels, predicted_classes(y_pred))
        values = ops.cast(is_right, self.dtype)
        weights = weights_like(
            values, sample_weight, is_counted(labels, self.ignore_class)
        )
        self.add(values, weights)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ignore_class": self.ignore_class}
