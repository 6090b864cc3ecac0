"""What all Keras metrics have in common."""

import csv

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl import metrics
from keras_mtl.metrics.long_sum import LongSum
from tests.backend_tools import numpy
from tests.metrics.tools import cases
from tests.metrics.tools import classification
from tests.metrics.tools import compiled_update
from tests.metrics.tools import depths
from tests.metrics.tools import measure
from tests.metrics.tools import normals
from tests.metrics.tools import results
from tests.metrics.tools import revived

CASES = cases()

# Some hundred terms, added in another order.
CLOSE = {"rel": 2e-6, "abs": 1e-7}


@pytest.fixture(params=list(CASES))
def case(request):
    make, data = CASES[request.param]
    return make(), *data()


def test_all_metrics_are_here():
    made = {type(make()) for make, _ in CASES.values()}
    public = {getattr(metrics, name) for name in metrics.__all__}
    assert made == {it for it in public if isinstance(it, type)}


def test_nothing_is_zero(case):
    metric, y_true, y_pred = case
    assert set(results(metric).values()) == {0.0}
    nothing = np.zeros(len(y_true), dtype="float32")
    assert set(measure(metric, y_true, y_pred, nothing).values()) == {0.0}


def test_batches_add_up_and_reset_forgets(case):
    metric, y_true, y_pred = case
    expected = measure(metric, y_true, y_pred)
    assert all(value > 0 for value in expected.values())
    metric.reset_state()
    assert set(results(metric).values()) == {0.0}
    for rows in (slice(0, 1), slice(1, 5), slice(5, 6)):
        metric.update_state(y_true[rows], y_pred[rows])
    assert results(metric) == pytest.approx(expected, **CLOSE)


def test_weights_repeat_samples(case):
    metric, y_true, y_pred = case
    times = np.array([2, 0, 1, 0, 3, 1])
    repeated = (np.repeat(array, times, axis=0) for array in (y_true, y_pred))
    expected = measure(metric, *repeated)
    found = measure(metric, y_true, y_pred, times)
    assert found == pytest.approx(expected, **CLOSE)
    per_pixel = np.broadcast_to(times[:, None, None], (6, 5, 4))
    for weight in (per_pixel, per_pixel[..., None]):
        found = measure(metric, y_true, y_pred, weight)
        assert found == pytest.approx(expected, **CLOSE)


def test_what_has_no_weight_may_be_nan(case):
    metric, y_true, y_pred = case
    weight = np.array([1, 0, 1, 1, 1, 1])
    kept = weight == 1
    expected = measure(metric, y_true[kept], y_pred[kept])
    y_pred[1] = np.nan
    found = measure(metric, y_true, y_pred, weight)
    assert found == pytest.approx(expected, **CLOSE)


def test_compiled(case):
    metric, y_true, y_pred = case
    weight = np.arange(6, dtype="float32")
    expected = measure(metric, y_true, y_pred, weight)
    metric.reset_state()
    update = compiled_update(metric)
    update(
        y_true.astype("int32" if y_true.dtype == "int64" else y_true.dtype),
        y_pred,
        weight,
    )
    assert results(metric) == pytest.approx(expected, **CLOSE)


def test_config(case):
    metric, y_true, y_pred = case
    other = revived(metric)
    assert type(other) is type(metric)
    assert other.get_config() == metric.get_config()
    expected = measure(metric, y_true, y_pred)
    assert measure(other, y_true, y_pred) == expected


def test_half_precision_predictions(case):
    metric, y_true, y_pred = case
    half = y_pred.astype("float16")
    expected = measure(metric, y_true, half.astype("float32"))
    assert measure(metric, y_true, half) == expected


def sums(metric):
    """Returns what was summed up, in float64."""
    return [numpy(variable.value).sum(axis=0) for variable in metric.variables]


def test_more_pixels_than_float32_counts(case):
    metric, y_true, y_pred = case
    metric.update_state(y_true[:1], y_pred[:1])
    once = sums(metric)
    # Some 2^29 pixels, beside which float32 does not see the next 16.
    for _ in range(2):
        metric.update_state(y_true, y_pred, np.full(6, 2.0**22))
    before = sums(metric)
    for _ in range(8):
        metric.update_state(y_true[:1], y_pred[:1])
    for old, new, step in zip(before, sums(metric), once, strict=True):
        # Rounding of the second part, some 1e3 in float32, eight times.
        np.testing.assert_allclose(new - old, 8 * step, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("is_compiled", [False, True])
def test_long_sums(is_compiled):
    class Sum(keras.metrics.Metric):
        def __init__(self):
            super().__init__()
            self.total = LongSum(self, (3,))

        def update_state(self, values):
            self.total.add(values)

        def result(self):
            return self.total.value()

    metric = Sum()
    step = np.array([1.0, 0.1, -3.0], dtype="float32")
    metric.update_state(np.array([1e8, 1e7, 0.0], dtype="float32"))
    update = metric.update_state
    if is_compiled:
        update = compiled_update(metric)
    for _ in range(300):
        update(step)
    exact = np.array([1e8, 1e7, 0.0]) + 300 * step.astype("float64")
    parts = numpy(metric.variables[0].value)
    np.testing.assert_allclose(parts.sum(axis=0), exact, rtol=1e-9)
    # The nearest float32 to the sum.
    np.testing.assert_allclose(
        numpy(metric.result()), exact.astype("float32"), rtol=6e-8
    )


def dense_model(wrap):
    inputs = keras.Input((5, 4, 2))
    x = keras.layers.Dense(8, activation="relu")(inputs)
    outputs = {
        "segmentation": keras.layers.Dense(4)(x),
        "depth": keras.layers.Dense(1)(x),
        "normal": keras.layers.Dense(3)(x),
    }
    model = wrap(inputs, outputs)
    model.compile(
        "sgd",
        {
            "segmentation": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, ignore_class=-1
            ),
            "depth": "mse",
            "normal": "mse",
        },
        metrics={
            "segmentation": [metrics.MeanIoU(4, ignore_class=-1)],
            "depth": [metrics.DepthErrors()],
            "normal": [metrics.NormalAngles()],
        },
        weighted_metrics={
            "segmentation": [metrics.PixelAccuracy(ignore_class=-1)]
        },
    )
    return model


@pytest.mark.parametrize("wrap", [keras.Model, keras_mtl.MultiTaskModel])
def test_names_in_logs(wrap, tmp_path):
    labels, _ = classification()
    y = {
        "segmentation": labels,
        "depth": np.nan_to_num(depths()[0])[..., None],
        "normal": normals()[0],
    }
    x = np.random.default_rng(0).normal(size=(6, 5, 4, 2)).astype("float32")
    names = {
        "segmentation_mean_iou",
        "segmentation_pixel_accuracy",
        "depth_absolute_error",
        "depth_relative_error",
        "angle_mean",
        "angle_median",
        "angle_within_11.25",
        "angle_within_22.5",
        "angle_within_30",
    }
    model = dense_model(wrap)
    logs = model.fit(
        x,
        y,
        # The last batch is short.
        batch_size=4,
        epochs=2,
        verbose=1,
        validation_data=(x, y),
        callbacks=[
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.EarlyStopping(
                "val_depth_absolute_error", patience=9, mode="min"
            ),
        ],
    ).history
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    for name in names | {f"val_{name}" for name in names}:
        assert [float(row[name]) for row in rows] == logs[name]
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    predicted = model.predict(x, verbose=0)
    expected = measure(metrics.NormalAngles(), y["normal"], predicted["normal"])
    assert {name: found[name] for name in expected} == pytest.approx(
        expected, rel=1e-4
    )
    expected = measure(metrics.DepthErrors(), y["depth"], predicted["depth"])
    assert {name: found[name] for name in expected} == pytest.approx(
        expected, rel=1e-4
    )


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: metrics.MeanIoU(1), "Received: num_classes=1"),
        (lambda: metrics.MeanIoU(2, ignore_class=1.5), "ignore_class=1.5"),
        (lambda: metrics.PixelAccuracy(True), "ignore_class=True"),
        (lambda: metrics.BrierScore(ignore_class="a"), "ignore_class='?a"),
        (lambda: metrics.PredictiveEntropy(ignore_class=0.0), "ignore_class"),
        (lambda: metrics.ExpectedCalibrationError(0), "num_bins=0"),
        (lambda: metrics.DepthErrors(min_depth=-1), "min_depth=-1"),
        (lambda: metrics.DepthErrors(2.0, 1.0), "max_depth=1.0"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "metric, true_shape, pred_shape, message",
    [
        (metrics.MeanIoU(3), (2,), (2, 4), "must have 3 columns"),
        (metrics.PixelAccuracy(), (2,), (2, 1), "two or more"),
        (metrics.PixelAccuracy(), (2, 3), (2, 4), r"shape \(2, 3\)"),
        (metrics.BrierScore(), (2, 2, 2), (2, 4), "Labels must have the shape"),
        (metrics.BrierScore(), (2,), (2,), "Labels must have the shape"),
        (metrics.DepthErrors(), (2, 3), (2, 3, 2), "must have the same shape"),
        (metrics.NormalAngles(), (2, 3), (2, 4), "3 as their last dimension"),
    ],
)
def test_wrong_shapes(metric, true_shape, pred_shape, message):
    with pytest.raises(ValueError, match=message):
        metric.update_state(np.zeros(true_shape), np.zeros(pred_shape))
