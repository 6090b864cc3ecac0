"""Rendered rooms: three tasks for each pixel, in two units of depth."""

from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.study.experiment import Settings
from benchmarks.study.problem import Data
from benchmarks.study.problem import Problem
from benchmarks.study.problem import cross_entropy
from keras_mtl import MultiTaskModel
from keras_mtl import datasets
from keras_mtl.metrics import DepthErrors
from keras_mtl.metrics import MeanIoU
from keras_mtl.metrics import NormalAngles
from keras_mtl.metrics import PixelAccuracy

#: By data set, how many units of depth a metre has.
UNITS = {"rooms_in_metres": 1.0, "rooms_in_centimetres": 100.0}
DATASETS = tuple(UNITS)

SIZE = 48
NUM_CLASSES = 6
UNKNOWN = -1

#: Which of the metrics below are better if they are higher.
HIGHER_IS_BETTER = frozenset(
    {"mean_iou", "pixel_accuracy", "within_11.25", "within_22.5", "within_30"}
)


def make_problem(
    dataset: str, settings: Settings, seed: int, data_dir: str | None = None
) -> Problem:
    """Returns the problem with the rooms of a seed."""
    unit = UNITS[dataset]

    def load(split: str) -> Data:
        x, y = datasets.rendered_rooms(
            split,
            num_train=settings.num_train,
            num_test=settings.num_test,
            image_size=(SIZE, SIZE),
            seed=seed,
        )
        unknown = y["segmentation"] == UNKNOWN
        # NaN is a missing label, for losses and metrics.
        y["depth"] *= unit
        y["depth"][unknown] = np.nan
        y["normal"][unknown] = np.nan
        return x, y

    return Problem(
        build=lambda: build(unit),
        losses={
            "segmentation": cross_entropy(ignore_class=UNKNOWN),
            "depth": keras.losses.MeanAbsoluteError(),
            "normal": OneMinusCosine(),
        },
        judge=judge,
        train=load("train"),
        validation=None,
        test=load("test"),
    )


class OneMinusCosine(keras.losses.Loss):
    """One minus the cosine of the angle to the true normal."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return 1.0 - ops.sum(y_true * y_pred, axis=-1)


def build(unit: float) -> MultiTaskModel:
    """Returns a small encoder and decoder with three heads.

    Each level halves the image, three times, and the decoder joins the levels
    again. Depth is predicted in metres and converted, so that the unit changes
    the size of its loss and gradient, and nothing else.
    """
    layers = keras.layers

    def convolution(filters: int, stride: int = 1) -> keras.layers.Layer:
        return layers.Conv2D(
            filters, 3, strides=stride, padding="same", activation="relu"
        )

    image = keras.Input((SIZE, SIZE, 3))
    fine = convolution(16, 2)(image)
    middle = convolution(24)(convolution(24, 2)(fine))
    x = convolution(32)(convolution(32, 2)(middle))
    for level, filters in ((middle, 24), (fine, 16)):
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = convolution(filters)(layers.Concatenate()([x, level]))

    def head(task: str, channels: int) -> Any:
        y = layers.Conv2D(channels, 3, padding="same", name=task)(x)
        return layers.UpSampling2D(interpolation="bilinear")(y)

    return MultiTaskModel(
        image,
        {
            "segmentation": head("segmentation_head", NUM_CLASSES),
            "depth": layers.Rescaling(unit)(head("depth_head", 1)),
            "normal": layers.UnitNormalization(axis=-1)(head("normal_head", 3)),
        },
    )


def judge(task: str, labels: Any, outputs: Any) -> dict[str, float]:
    """Returns the usual metrics of a task, as shares and in its units."""
    metrics: dict[str, list[keras.metrics.Metric]] = {
        "segmentation": [
            MeanIoU(NUM_CLASSES, ignore_class=UNKNOWN),
            PixelAccuracy(ignore_class=UNKNOWN),
        ],
        "depth": [DepthErrors()],
        "normal": [NormalAngles()],
    }
    numbers = {}
    for metric in metrics[task]:
        metric.update_state(labels, outputs)
        result = metric.result()
        if not isinstance(result, dict):
            result = {metric.name: result}
        for name, value in result.items():
            name = name.removeprefix("depth_").removeprefix("angle_")
            numbers[name] = float(value)
    return numbers
