"""Predictions and labels to measure, and metrics that run compiled."""

import keras
import numpy as np

from keras_mtl import metrics
from tests.backend_tools import BACKEND
from tests.backend_tools import compiled
from tests.backend_tools import numpy
from tests.backend_tools import tensor


def classification(seed=0, shape=(6, 5, 4), classes=4):
    """Labels, some -1, and the logits of images."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(-1, classes, size=shape)
    logits = generator.normal(scale=2, size=(*shape, classes))
    return labels, logits.astype("float32")


def softmax(logits):
    powers = np.exp(logits.astype("float64"))
    return powers / powers.sum(axis=-1, keepdims=True)


def depths(seed=0, shape=(6, 5, 4)):
    """Depths, some 0 and some NaN, and predictions."""
    generator = np.random.default_rng(seed)
    true = generator.uniform(0.5, 9, size=shape)
    true[generator.random(shape) < 0.2] = 0
    true[generator.random(shape) < 0.1] = np.nan
    predicted = generator.uniform(0.5, 9, size=shape)
    return true.astype("float32"), predicted.astype("float32")


def normals(seed=0, shape=(6, 5, 4)):
    """Normals, some zero, and predictions close to them, of any length."""
    generator = np.random.default_rng(seed)
    true = generator.normal(size=(*shape, 3))
    true /= np.linalg.norm(true, axis=-1, keepdims=True)
    noise = generator.normal(size=true.shape) * generator.random((*shape, 1))
    predicted = (true + noise) * generator.uniform(0.1, 5, size=(*shape, 1))
    true[generator.random(shape) < 0.2] = 0
    return true.astype("float32"), predicted.astype("float32")


def cases():
    """For each metric, how to make one and what to measure."""
    return {
        "mean_iou": (
            lambda: metrics.MeanIoU(4, ignore_class=-1),
            classification,
        ),
        "pixel_accuracy": (
            lambda: metrics.PixelAccuracy(ignore_class=-1),
            classification,
        ),
        "calibration": (
            lambda: metrics.ExpectedCalibrationError(
                7, from_logits=True, ignore_class=-1
            ),
            classification,
        ),
        "brier": (
            lambda: metrics.BrierScore(from_logits=True, ignore_class=-1),
            classification,
        ),
        "entropy": (
            lambda: metrics.PredictiveEntropy(
                from_logits=True, ignore_class=-1
            ),
            classification,
        ),
        "depth": (
            lambda: metrics.DepthErrors(min_depth=0.5, max_depth=8.0),
            depths,
        ),
        "normals": (metrics.NormalAngles, normals),
    }


def results(metric):
    """Returns the results of a metric as a dict of floats."""
    values = metric.result()
    if not isinstance(values, dict):
        values = {metric.name: values}
    return {name: float(numpy(value)) for name, value in values.items()}


def measure(metric, y_true, y_pred, sample_weight=None):
    metric.reset_state()
    metric.update_state(y_true, y_pred, sample_weight)
    return results(metric)


def compiled_update(metric):
    """Returns `update_state` as compiled as the backend has it."""
    if BACKEND == "torch":
        update = compiled(metric.update_state)

        def call(*arguments):
            update(*[tensor(argument) for argument in arguments])

        return call
    pure = compiled(metric.stateless_update_state)

    def call(*arguments):
        values = [variable.value for variable in metric.variables]
        values = pure(values, *[tensor(argument) for argument in arguments])
        for variable, value in zip(metric.variables, values, strict=True):
            variable.assign(value)

    return call


def revived(metric):
    """Returns the metric that a config describes."""
    return keras.metrics.deserialize(keras.metrics.serialize(metric))
