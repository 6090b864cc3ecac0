"""What metrics of predicted probabilities are constructed with."""

from typing import Any

import keras

from keras_mtl.metrics.class_labels import checked_ignore_class


class ProbabilityMetric(keras.metrics.Metric):
    """Knows whether predictions are logits, and which class to ignore.

    Args:
        from_logits: Whether predictions are logits.
        ignore_class: Class index of labels that do not count, or `None`.
        name: Name of the metric.
        dtype: Dtype of the computation.
    """

    def __init__(
        self,
        from_logits: bool,
        ignore_class: int | None,
        name: str,
        dtype: Any,
    ):
        super().__init__(name=name, dtype=dtype)
        self.from_logits = from_logits
        self.ignore_class = checked_ignore_class(ignore_class)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "ignore_class": self.ignore_class,
        }
