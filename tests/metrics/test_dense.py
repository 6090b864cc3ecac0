"""Depths and normals, against NumPy in float64."""

import numpy as np
import pytest

from keras_mtl import metrics
from tests.metrics.tools import depths
from tests.metrics.tools import measure
from tests.metrics.tools import normals

CLOSE = {"rel": 1e-6, "abs": 1e-7}


@pytest.mark.parametrize("low, high", [(0.0, None), (2.0, 6.0)])
def test_depth_errors(low, high):
    true, predicted = depths(1, (8, 6, 5))
    weight = np.arange(8.0)
    limit = np.inf if high is None else high
    for weights in (None, weight):
        each = np.ones(8) if weights is None else weights
        each = np.broadcast_to(each[:, None, None], true.shape)
        with np.errstate(invalid="ignore"):
            kept = (true > low) & (true <= limit)
        z, y = predicted[kept].astype("float64"), true[kept].astype("float64")
        expected = {
            "depth_absolute_error": np.average(abs(z - y), weights=each[kept]),
            "depth_relative_error": np.average(
                abs(z - y) / y, weights=each[kept]
            ),
        }
        metric = metrics.DepthErrors(low, high)
        found = measure(metric, true, predicted, weights)
        assert found == pytest.approx(expected, **CLOSE)
        found = measure(metric, true[..., None], predicted, weights)
        assert found == pytest.approx(expected, **CLOSE)
        found = measure(metric, true, predicted[..., None], weights)
        assert found == pytest.approx(expected, **CLOSE)


def degrees(true, predicted):
    true, predicted = (a.astype("float64") for a in (true, predicted))
    cosine = (true * predicted).sum(axis=-1) / (
        np.linalg.norm(true, axis=-1) * np.linalg.norm(predicted, axis=-1)
    )
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.parametrize("shape", [(9, 8, 7), (51,), (50,), (1,)])
def test_normal_angles(shape):
    true, predicted = normals(3, shape)
    kept = true.any(axis=-1)
    angles = degrees(true[kept], predicted[kept])
    found = measure(metrics.NormalAngles(), true, predicted)
    median = found.pop("angle_median")
    # Half a bin.
    assert abs(median - np.median(angles)) < 0.005 + 1e-4
    expected = {"angle_mean": angles.mean()}
    for limit in ("11.25", "22.5", "30"):
        expected[f"angle_within_{limit}"] = (angles < float(limit)).mean()
    assert found == pytest.approx(expected, **CLOSE)


def test_the_median_lies_between_two_distant_halves():
    # As many at 10.005 as at 50.005 degrees, and none between.
    angles = np.radians([10.005, 50.005] * 3)
    predicted = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    predicted = np.pad(predicted, ((0, 0), (0, 1)))
    true = np.tile([0.0, 2.0, 0.0], (6, 1))
    metric = metrics.NormalAngles()
    assert measure(metric, true, predicted)["angle_median"] == pytest.approx(
        30.005, abs=1e-4
    )
    # One more of one of them.
    weight = [1, 1, 1, 2, 1, 1]
    found = measure(metric, true, predicted, np.array(weight))
    assert found["angle_median"] == pytest.approx(50.005, abs=1e-4)


@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.01, 1.0, 90.0, 179.99, 180.0])
def test_small_and_large_angles_are_accurate(angle):
    radians = np.radians(angle)
    predicted = np.array([[np.sin(radians), 0.0, np.cos(radians)]])
    found = measure(metrics.NormalAngles(), [[0.0, 0.0, 1.0]], predicted)
    # The arc cosine in float32 is off by up to 0.03 degrees at 0 and 180.
    assert found["angle_mean"] == pytest.approx(angle, rel=1e-6, abs=1e-5)
    assert abs(found["angle_median"] - angle) < 0.0051
    assert found["angle_within_30"] == (angle < 30)


def test_no_direction_is_no_credit():
    up = [[0.0, 0.0, 1.0]]
    found = measure(metrics.NormalAngles("n"), up, np.zeros((1, 3)))
    assert found["n_mean"] == 90.0 and found["n_within_30"] == 0.0
    metric = metrics.NormalAngles()
    assert measure(metric, np.full((1, 3), np.nan), up)["angle_mean"] == 0.0
