"""Entropy of predicted probabilities."""

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


@keras_mtl_export("keras_mtl.metrics.PredictiveEntropy")
class PredictiveEntropy(ProbabilityMetric, WeightedMean):
    """Mean entropy of the predicted probabilities, in nats.

    How unsure a model is, whether it is right or not. Compare the entropy on
    data like that of training with the entropy on other data, which should
    be greater: 0 is certainty, `log(classes)` no idea.

    `mean_i -sum_c p_ic log(p_ic)`

    Args:
        from_logits: Whether predictions are logits. Defaults to `False`.
        ignore_class: Optional class index: samples with this label do not
            count. Defaults to `None`: labels are not looked at.
        name: Name of the metric. Defaults to `"predictive_entropy"`.
        dtype: Dtype of the computation. Defaults to `None`: floatx.

    Call arguments:
        y_true: As for `keras_mtl.metrics.BrierScore`, or `None`.
        y_pred: Probabilities or logits `[..., classes]`. With one class, that
            of a sigmoid, it is the entropy of both.
        sample_weight: Optional weights `[batch]` or `[...]`.

    Raises:
        ValueError: If `ignore_class` is no integer.

    Example:

    ```python
    metric = keras_mtl.metrics.PredictiveEntropy()
    metric.update_state(None, [[0.5, 0.5], [1.0, 0.0]])
    metric.result()  # 0.3466 = (log 2 + 0) / 2
    ```

    References:
        Ovadia et al., Can You Trust Your Model's Uncertainty? Evaluating
        Predictive Uncertainty Under Dataset Shift, NeurIPS 2019,
        [arXiv:1906.02530](https://arxiv.org/abs/1906.02530).
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        name: str = "predictive_entropy",
        dtype: Any = None,
    ):
        super().__init__(from_logits, ignore_class, name, dtype)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> None:
        y_pred = as_tensor(y_pred, self.dtype)
        scores = probabilities(y_pred, self.from_logits)
        # 0 log 0 is 0.
        logs = ops.log(ops.where(scores > 0, scores, ops.ones_like(scores)))
        values = -ops.sum(scores * logs, axis=-1)
        counted = None
        if self.ignore_class is not None:
            labels = class_labels(y_true, y_pred)
            counted = is_counted(labels, self.ignore_class)
        self.add(values, weights_like(values, sample_weight, counted))
