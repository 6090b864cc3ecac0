"""Numbers that say how good a multi-task model, or a set of them, is."""

from keras_mtl.metrics.brier_score import BrierScore
from keras_mtl.metrics.delta_m import delta_m
from keras_mtl.metrics.delta_p import delta_p
from keras_mtl.metrics.depth_errors import DepthErrors
from keras_mtl.metrics.expected_calibration_error import (
    ExpectedCalibrationError,
)
from keras_mtl.metrics.hypervolume import hypervolume
from keras_mtl.metrics.mean_iou import MeanIoU
from keras_mtl.metrics.mean_rank import mean_rank
from keras_mtl.metrics.normal_angles import NormalAngles
from keras_mtl.metrics.pixel_accuracy import PixelAccuracy
from keras_mtl.metrics.predictive_entropy import PredictiveEntropy

__all__ = [
    "BrierScore",
    "DepthErrors",
    "ExpectedCalibrationError",
    "MeanIoU",
    "NormalAngles",
    "PixelAccuracy",
    "PredictiveEntropy",
    "delta_m",
    "delta_p",
    "hypervolume",
    "mean_rank",
]
