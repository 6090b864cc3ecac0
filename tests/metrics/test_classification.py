"""Calibration and segmentation, against scikit-learn and the definitions."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.metrics import brier_score_loss
from sklearn.metrics import jaccard_score

from keras_mtl import metrics
from tests.metrics.tools import classification
from tests.metrics.tools import measure
from tests.metrics.tools import softmax

# float32, of means of some hundred numbers.
CLOSE = {"rel": 1e-6, "abs": 1e-7}


def value(metric, *arguments):
    (found,) = measure(metric, *arguments).values()
    return found


def flat(labels, logits):
    kept = labels >= 0
    return labels[kept], softmax(logits)[kept]


@pytest.mark.parametrize("num_bins", [1, 10, 15])
@pytest.mark.parametrize("weighted", [False, True])
def test_calibration_error_by_its_definition(num_bins, weighted):
    labels, logits = classification(1, (40, 5))
    weight = np.arange(40.0) if weighted else np.ones(40)
    kept = labels >= 0
    weights = np.broadcast_to(weight[:, None], labels.shape)[kept]
    true, probabilities = flat(labels, logits)
    # In float32, as the metric sees it.
    confidence = probabilities.max(axis=1).astype("float32")
    edges = np.linspace(0, 1, num_bins + 1, dtype="float32")
    bins = np.digitize(confidence, edges[1:-1], right=True)
    expected = 0.0
    for number in range(num_bins):
        inside = bins == number
        if inside.any():
            share = weights[inside].sum() / weights.sum()
            right = probabilities.argmax(axis=1)[inside] == true[inside]
            expected += share * abs(
                np.average(right, weights=weights[inside])
                - np.average(confidence[inside], weights=weights[inside])
            )
    metric = metrics.ExpectedCalibrationError(
        num_bins, from_logits=True, ignore_class=-1
    )
    found = value(metric, labels, logits, weight if weighted else None)
    assert found == pytest.approx(expected, **CLOSE)


def test_bins_have_their_upper_end():
    # 0.5 and 0.75 are exact; each is alone with its kind in a bin of 4.
    metric = metrics.ExpectedCalibrationError(4)
    scores = [[0.5, 0.5], [0.75, 0.25], [0.75001, 0.24999]]
    found = value(metric, [1, 0, 0], scores)
    assert found == pytest.approx((0.5 + 0.25 + 0.24999) / 3, **CLOSE)


def test_a_calibrated_model_has_no_error():
    # 80 of 100 are right at 0.8, 60 of 100 at 0.6.
    scores = np.repeat([[0.8, 0.2], [0.6, 0.4]], 100, axis=0)
    labels = np.concatenate([np.arange(100) >= 80, np.arange(100) >= 60])
    metric = metrics.ExpectedCalibrationError()
    assert value(metric, labels.astype("int32"), scores) < 1e-6
    assert value(metric, 1 - labels, scores) == pytest.approx(0.4, **CLOSE)


def test_brier_score_of_scikit_learn():
    labels, logits = classification(2, (30, 4))
    true, probabilities = flat(labels, logits)
    expected = brier_score_loss(
        true, probabilities, labels=range(4), scale_by_half=False
    )
    metric = metrics.BrierScore(from_logits=True, ignore_class=-1)
    assert value(metric, labels, logits) == pytest.approx(expected, **CLOSE)
    weight = np.arange(30.0)
    weights = np.broadcast_to(weight[:, None], labels.shape)[labels >= 0]
    expected = brier_score_loss(
        true,
        probabilities,
        sample_weight=weights,
        labels=range(4),
        scale_by_half=False,
    )
    found = value(metric, labels, logits, weight)
    assert found == pytest.approx(expected, **CLOSE)


def test_entropy_of_known_distributions():
    metric = metrics.PredictiveEntropy()
    scores = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]]
    expected = (0 + math.log(2) + math.log(3)) / 3
    assert value(metric, None, scores) == pytest.approx(expected, **CLOSE)
    logits = np.log(np.maximum(scores, 1e-30))
    metric = metrics.PredictiveEntropy(from_logits=True)
    assert value(metric, None, logits) == pytest.approx(expected, **CLOSE)
    # Masked logits, and logits that overflow if exponentiated.
    logits = [[-np.inf, 0.0], [500.0, -500.0]]
    assert value(metric, None, logits) == 0.0
    labels, logits = classification(3)
    true, scores = flat(labels, logits)
    expected = -(scores * np.log(scores)).sum(axis=1).mean()
    metric = metrics.PredictiveEntropy(from_logits=True, ignore_class=-1)
    assert value(metric, labels, logits) == pytest.approx(expected, **CLOSE)


@pytest.mark.parametrize(
    "kind",
    ["BrierScore", "PredictiveEntropy", "ExpectedCalibrationError"],
)
def test_one_column_is_the_second_of_two_classes(kind):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20, 1)).astype("float32")
    labels = generator.integers(0, 2, size=20)
    scores = 1 / (1 + np.exp(-logits))
    both = np.concatenate([1 - scores, scores], axis=1)
    expected = value(getattr(metrics, kind)(), labels, both)
    for true in (labels, labels[:, None], labels.astype("float32")):
        for is_logits, y_pred in ((False, scores), (True, logits)):
            metric = getattr(metrics, kind)(from_logits=is_logits)
            assert value(metric, true, y_pred) == pytest.approx(
                expected, **CLOSE
            )


@pytest.mark.parametrize("ignore_class", [-1, 255, None])
@pytest.mark.parametrize("form", ["logits", "probabilities"])
def test_segmentation_of_scikit_learn(ignore_class, form):
    labels, logits = classification(4)
    if ignore_class is None:
        labels = labels % 4
    else:
        labels[labels < 0] = ignore_class
    y_pred = logits if form == "logits" else softmax(logits).astype("float32")
    kept = labels != ignore_class
    true, predicted = labels[kept], logits.argmax(axis=-1)[kept]
    weights = np.random.default_rng(0).random(labels.shape).astype("float32")
    for weight in (None, weights):
        of_kept = None if weight is None else weight[kept]
        expected = jaccard_score(
            true, predicted, average="macro", sample_weight=of_kept
        )
        metric = metrics.MeanIoU(4, ignore_class)
        found = value(metric, labels, y_pred, weight)
        assert found == pytest.approx(expected, **CLOSE)
        found = value(metric, labels[..., None], y_pred, weight)
        assert found == pytest.approx(expected, **CLOSE)
        expected = accuracy_score(true, predicted, sample_weight=of_kept)
        metric = metrics.PixelAccuracy(ignore_class)
        found = value(metric, labels, y_pred, weight)
        assert found == pytest.approx(expected, **CLOSE)


def test_one_hot_labels():
    labels, logits = classification(5)
    labels = labels % 4
    one_hot = np.eye(4)[labels]
    for make in (
        lambda: metrics.MeanIoU(4),
        lambda: metrics.PixelAccuracy(),
        lambda: metrics.BrierScore(from_logits=True),
        lambda: metrics.ExpectedCalibrationError(from_logits=True),
    ):
        assert value(make(), one_hot, logits) == value(make(), labels, logits)


def test_classes_that_do_not_occur_do_not_count():
    scores = np.eye(5)[[0, 0, 1]]
    metric = metrics.MeanIoU(5)
    assert value(metric, [0, 1, 1], scores) == pytest.approx(0.5, **CLOSE)
    # Predicted only: its share is 0.
    found = value(metric, [0, 1, 0], np.eye(5)[[0, 1, 4]])
    assert found == pytest.approx((0.5 + 1 + 0) / 3, **CLOSE)


def test_a_label_of_no_class_is_never_right():
    scores = np.eye(3)[[0, 2, 2, 0]]
    for label in (-1, 3, 255):
        labels = [0, 2, label, label]
        # Both predicted classes have one pixel that is not theirs.
        found = value(metrics.MeanIoU(3), labels, scores)
        assert found == pytest.approx(0.5, **CLOSE)
        assert value(metrics.PixelAccuracy(), labels, scores) == 0.5
