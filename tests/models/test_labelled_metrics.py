"""Metrics of tasks with missing labels."""

import keras
import numpy as np
import pytest

import keras_mtl

LOSSES = {"size": "mse", "kind": "binary_crossentropy"}


def make_metrics():
    return {
        "metrics": {
            "size": ["mae", keras.metrics.RootMeanSquaredError(name="rmse")],
            "kind": ["accuracy"],
        },
        "weighted_metrics": {"size": ["mse"]},
    }


def make_model(cls=keras_mtl.MultiTaskModel):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    features = keras.layers.Dense(6, activation="tanh")(inputs)
    return cls(
        inputs,
        {
            "size": keras.layers.Dense(1, name="size")(features),
            "kind": keras.layers.Dense(1, "sigmoid", name="kind")(features),
        },
    )


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(24, 4)).astype("float32")
    y = {
        "size": generator.normal(size=(24, 1)).astype("float32"),
        "kind": generator.integers(0, 2, (24, 1)).astype("float32"),
    }
    return x, y


@pytest.fixture
def sparse_data(data):
    x, y = data
    generator = np.random.default_rng(1)
    for task, share in (("size", 0.5), ("kind", 0.8)):
        y[task][generator.random(24) < share] = np.nan
        assert 2 < np.isfinite(y[task]).sum() < 20
    return x, y


def fit(model, x, y, **kwargs):
    return model.fit(
        x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, **kwargs
    ).history


@pytest.mark.parametrize("strategy", [None, "ew"])
def test_without_missing_labels_they_are_those_of_keras(data, strategy):
    x, y = data
    weights = {"size": np.linspace(0, 2, 24), "kind": np.linspace(1, 2, 24)}
    plain = make_model(keras.Model)
    plain.compile("sgd", loss=LOSSES, **make_metrics())
    model = make_model()
    model.compile("sgd", loss=LOSSES, **make_metrics(), strategy=strategy)
    expected = fit(plain, x, y, sample_weight=weights)
    actual = fit(model, x, y, sample_weight=weights)
    assert list(actual) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=1e-6)


def test_samples_without_label_do_not_count(sparse_data):
    x, y = sparse_data
    weights = np.linspace(0.5, 2, 24).astype("float32")
    model = make_model()
    model.compile("sgd", loss=LOSSES, **make_metrics(), strategy="mgda")
    history = fit(model, x, y)
    assert all(np.isfinite(values).all() for values in history.values())
    logs = model.evaluate(
        x,
        y,
        sample_weight={"size": weights, "kind": None},
        batch_size=8,
        verbose=0,
        return_dict=True,
    )
    outputs = model.predict(x, verbose=0)
    there = np.isfinite(y["size"][:, 0])
    errors = (outputs["size"] - y["size"])[there, 0]
    assert logs["size_mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    assert logs["size_rmse"] == pytest.approx(
        np.sqrt(np.square(errors).mean()), rel=1e-5
    )
    assert logs["size_mse"] == pytest.approx(
        np.average(np.square(errors), weights=weights[there]), rel=1e-5
    )
    there = np.isfinite(y["kind"][:, 0])
    right = (outputs["kind"] > 0.5) == (y["kind"] > 0.5)
    assert logs["kind_accuracy"] == pytest.approx(right[there].mean(), rel=1e-6)


@pytest.mark.parametrize(
    "last, labels, loss",
    [
        (3, np.array([[0], [2], [1], [np.nan]]), "sparse_categorical_accuracy"),
        (
            3,
            np.array([[1, 0, 0], [0, 0, 1], [0, np.nan, 0], [0, 1, 0]]),
            "categorical_accuracy",
        ),
        (1, np.array([[0], [1], [np.nan], [1]]), "binary_accuracy"),
    ],
)
def test_accuracy_goes_by_the_shapes(last, labels, loss):
    from keras_mtl.models.labelled_metrics import labelled_metrics
    from keras_mtl.models.settings import Settings

    settings = Settings(make_model())
    settings.losses = keras_mtl.models.task_losses.TaskLosses(
        {}, {}, None, handle_missing=True
    )
    outputs = np.random.default_rng(3).random((4, last)).astype("float32")
    labels = labels.astype("float32")
    (metric,) = labelled_metrics("metrics", ["accuracy"], settings)
    metric.update_state(
        keras.ops.convert_to_tensor(labels),
        keras.ops.convert_to_tensor(outputs),
    )
    expected = keras.metrics.get(loss)
    there = np.isfinite(labels).all(axis=-1)
    expected.update_state(labels[there], outputs[there])
    assert float(metric.result()) == pytest.approx(float(expected.result()))


def test_a_metric_that_takes_no_weights_stays_as_it_is():
    from keras_mtl.models.labelled_metrics import labelled_metrics
    from keras_mtl.models.settings import Settings

    class Count(keras.metrics.Metric):
        def update_state(self, y_true, y_pred):
            pass

        def result(self):
            return 0.0

    count = Count()
    metrics = {"a": [count]}
    assert (
        labelled_metrics("metrics", metrics, Settings(make_model())) == metrics
    )


def test_saved_models_have_the_metrics_that_the_user_gave(
    sparse_data, tmp_path
):
    x, y = sparse_data
    model = make_model()
    model.compile("sgd", loss=LOSSES, **make_metrics(), strategy="mgda")
    fit(model, x, y)
    before = model.evaluate(x, y, verbose=0, return_dict=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_compile_config()["metrics"]["kind"] == ["accuracy"]
    after = loaded.evaluate(x, y, verbose=0, return_dict=True)
    assert after == before
