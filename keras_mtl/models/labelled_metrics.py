"""Metrics that leave out samples whose label is missing."""

import inspect
from typing import Any

import keras
from keras import ops

from keras_mtl.models.missing_labels import is_by_sample
from keras_mtl.models.missing_labels import like_rank
from keras_mtl.models.missing_labels import may_miss
from keras_mtl.models.missing_labels import of_mean_1
from keras_mtl.models.missing_labels import takes_mean
from keras_mtl.models.missing_labels import without_missing
from keras_mtl.models.own_functions import answers
from keras_mtl.models.own_functions import is_own
from keras_mtl.models.own_functions import name_of
from keras_mtl.typing import Tensor


def labelled_metrics(argument: str, metrics: Any, settings: Any) -> Any:
    """Wraps the metrics that `compile` was given.

    Args:
        argument: Name of the argument, for error messages.
        metrics: A structure of metrics by output, or `None`.
        settings: The `Settings` of the model.

    Returns:
        The same structure. Metrics whose `update_state` takes no
        `sample_weight` stay as they are: they cannot leave anything out.

    Raises:
        ValueError: If there is something that is no metric.
    """
    if metrics is not None and not isinstance(metrics, (dict, list, tuple)):
        raise ValueError(
            f"Argument `{argument}` must be a list, or a dict by output, as "
            f"for keras.Model. Received: {argument}={metrics!r}."
        )
    return _wrapped(metrics, settings)


def _wrapped(metrics: Any, settings: Any) -> Any:
    if isinstance(metrics, dict) and "class_name" not in metrics:
        return {k: _wrapped(v, settings) for k, v in metrics.items()}
    if isinstance(metrics, (list, tuple)):
        return [_wrapped(metric, settings) for metric in metrics]
    if metrics is None or isinstance(metrics, LabelledMetric):
        return metrics
    if _means_accuracy(metrics):
        return LabelledMetric(str(metrics), None, settings)
    # As Keras does it when it has seen a batch.
    found = keras.metrics.get(metrics)
    name = metrics if isinstance(metrics, str) else name_of(found)
    if isinstance(found, keras.metrics.Metric):
        arguments = inspect.signature(found.update_state).parameters
        if "sample_weight" not in arguments:
            found.name = name
            return found
    return LabelledMetric(name, found, settings)


def _means_accuracy(identifier: Any) -> bool:
    """Whether Keras takes it for the accuracy that fits the shapes."""
    return str(identifier).lower() in ("accuracy", "acc")


class LabelledMetric(keras.metrics.Metric):
    """A metric over the samples that have a label.

    Where the model trains by a strategy, NaN marks a missing label: such
    samples get weight 0. Without a strategy, and for labels that cannot be
    NaN, it does what the metric itself does.

    Args:
        name: What Keras calls the metric.
        metric: A metric, a function or a `keras.losses.Loss`; `None` for the
            accuracy that fits the first labels and outputs.
        settings: The `Settings` of the model.
    """

    def __init__(self, name: str, metric: Any, settings: Any):
        super().__init__(name=name)
        self._settings = settings
        self._function: Any = None
        if metric is not None and not isinstance(metric, keras.metrics.Metric):
            self._function = metric
            metric = keras.metrics.MeanMetricWrapper(metric)
        self._metric: Any = metric
        if metric is not None:
            metric.name = name

    @property
    def _direction(self) -> str | None:
        # Where callbacks look for what is better, more or less of it.
        return self._metric._direction  # AttributeError: it is not known

    @property
    def variables(self) -> list[keras.Variable]:
        return [] if self._metric is None else self._metric.variables

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None
    ) -> Any:
        if self._metric is None:
            self._metric = _accuracy(y_true, y_pred)(name=self.name)
        metric = self._metric
        losses = self._settings.losses
        can_miss = losses is not None and losses.handle_missing
        if not (can_miss and may_miss(y_true)):
            return metric.update_state(
                y_true, y_pred, sample_weight=sample_weight
            )
        y_true, labelled = self._without_missing(y_true, y_pred)
        if sample_weight is None:
            sample_weight = labelled
        else:
            sample_weight = ops.cast(sample_weight, labelled.dtype)
            sample_weight = like_rank(sample_weight, len(labelled.shape))
            rank = len(sample_weight.shape)
            sample_weight = sample_weight * like_rank(labelled, rank)
        if isinstance(self._function, keras.losses.Loss):
            return self._add_loss(y_true, y_pred, sample_weight)
        return metric.update_state(y_true, y_pred, sample_weight=sample_weight)

    def _without_missing(
        self, y_true: Tensor, y_pred: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Labels to call the metric with, and weights, 0 where one misses."""
        filled, weight = without_missing(y_true, is_by_sample(y_true, y_pred))
        function = self._function
        if function is None or not is_own(function):
            return filled, weight
        if isinstance(function, keras.losses.Loss):
            function = function.call
        # As Keras calls it.
        y_true, filled, y_pred = (
            ops.cast(tensor, self.dtype) for tensor in (y_true, filled, y_pred)
        )
        return answers(function, y_true, filled, y_pred, weight)

    def _add_loss(self, y_true: Tensor, y_pred: Tensor, weight: Tensor) -> None:
        """Adds the value that a `Loss` has for a batch, if it has labels."""
        has_some = ops.cast(ops.any(weight > 0), weight.dtype)
        if takes_mean(self._function):
            weight = of_mean_1(weight, tuple(range(len(weight.shape))))
        value = self._function(y_true, y_pred, sample_weight=weight)
        keras.metrics.Mean.update_state(
            self._metric, value, sample_weight=has_some
        )

    def result(self) -> Any:
        if self._metric is None:
            return ops.zeros(())
        return self._metric.result()

    def reset_state(self) -> None:
        if self._metric is not None:
            self._metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        # The configs of models have the metrics that the user gave.
        return {"name": self.name}


def _accuracy(y_true: Tensor, y_pred: Tensor) -> type[keras.metrics.Metric]:
    """What "accuracy" means for labels and outputs of these shapes."""
    if y_pred.shape[-1] == 1:
        return keras.metrics.BinaryAccuracy
    if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
        return keras.metrics.SparseCategoricalAccuracy
    return keras.metrics.CategoricalAccuracy
