"""Metrics that leave out samples whose label is missing."""

import inspect
from typing import Any

import keras
from keras import ops

from keras_mtl.models.missing_labels import may_miss
from keras_mtl.models.own_functions import answers
from keras_mtl.models.own_functions import is_own


def labelled_metrics(metrics: Any, settings: Any) -> Any:
    """Wraps the metrics that `compile` was given.

    Args:
        metrics: A structure of metrics by output, or `None`.
        settings: The `Settings` of the model.

    Returns:
        The same structure. Metrics whose `update_state` takes no
        `sample_weight` stay as they are: they cannot leave anything out.
    """
    if isinstance(metrics, dict):
        return {k: labelled_metrics(v, settings) for k, v in metrics.items()}
    if isinstance(metrics, (list, tuple)):
        return type(metrics)(labelled_metrics(m, settings) for m in metrics)
    if metrics is None or isinstance(metrics, LabelledMetric):
        return metrics
    if isinstance(metrics, keras.metrics.Metric):
        arguments = inspect.signature(metrics.update_state).parameters
        if "sample_weight" not in arguments:
            return metrics
    elif not isinstance(metrics, str) and not callable(metrics):
        # Keras says what is wrong with it.
        return metrics
    return LabelledMetric(metrics, settings)


class LabelledMetric(keras.metrics.Metric):
    """A metric over the samples that have a label.

    Where the model trains by a strategy, NaN marks a missing label: such
    samples get weight 0. Without a strategy, and for labels that cannot be
    NaN, it does what the metric itself does.

    Args:
        metric: What `compile` takes: a metric, a name or a function.
        settings: The `Settings` of the model.
    """

    def __init__(self, metric, settings):
        name = metric
        if not isinstance(metric, str):
            name = getattr(metric, "name", None) or metric.__name__
        super().__init__(name=name)
        self._identifier = metric
        self._settings = settings
        self._metric = None
        if isinstance(metric, keras.metrics.Metric):
            self._metric = metric

    def _resolve(self, y_true, y_pred):
        """The metric itself, as Keras would make it."""
        if self._metric is None:
            metric = self._identifier
            if metric in ("accuracy", "acc"):
                metric = _accuracy(y_true, y_pred)
            metric = keras.metrics.get(metric)
            if not isinstance(metric, keras.metrics.Metric):
                metric = keras.metrics.MeanMetricWrapper(metric)
            metric.name = self.name
            self._metric = metric
        return self._metric

    @property
    def variables(self):
        return [] if self._metric is None else self._metric.variables

    def update_state(self, y_true, y_pred, sample_weight=None):
        metric = self._resolve(y_true, y_pred)
        losses = self._settings.losses
        can_miss = losses is not None and losses.handle_missing
        if can_miss and may_miss(y_true):
            y_true, labelled = self._without_missing(y_true, y_pred)
            if sample_weight is None:
                sample_weight = labelled
            else:
                sample_weight = ops.cast(sample_weight, labelled.dtype)
                while len(sample_weight.shape) < len(labelled.shape):
                    sample_weight = ops.expand_dims(sample_weight, axis=-1)
                sample_weight = sample_weight * labelled
        return metric.update_state(y_true, y_pred, sample_weight=sample_weight)

    def _without_missing(self, y_true, y_pred):
        """Labels to call the metric with, and weights, 0 where one misses."""
        filled, weight = _without_missing(y_true, y_pred)
        function = self._identifier
        if isinstance(function, (str, keras.metrics.Metric)) or not is_own(
            function
        ):
            return filled, weight
        # As Keras calls it.
        y_true, filled, y_pred = (
            ops.cast(tensor, self.dtype) for tensor in (y_true, filled, y_pred)
        )
        return answers(function, y_true, filled, y_pred, weight)

    def result(self):
        if self._metric is None:
            return ops.zeros(())
        return self._metric.result()

    def reset_state(self):
        if self._metric is not None:
            self._metric.reset_state()

    def get_config(self):
        # The configs of models have the metrics that the user gave.
        return {"name": self.name}


def _without_missing(y_true, y_pred):
    """Labels with 0 for NaN, and weights that are 0 for those samples."""
    missing = ops.isnan(y_true)
    filled = ops.where(missing, ops.zeros_like(y_true), y_true)
    if len(y_true.shape) == len(y_pred.shape) and len(y_true.shape) > 1:
        missing = ops.any(missing, axis=-1)
    return filled, ops.cast(ops.logical_not(missing), keras.config.floatx())


def _accuracy(y_true, y_pred):
    """What "accuracy" means for labels and outputs of these shapes."""
    if y_pred.shape[-1] == 1:
        return "binary_accuracy"
    if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1:
        return "sparse_categorical_accuracy"
    return "categorical_accuracy"
