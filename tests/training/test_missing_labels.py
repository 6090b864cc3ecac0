"""Samples and tasks without labels contribute nothing."""

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl.models import labels
from training import toy

TASKS = ("a", "b", "c")
ABSENT = "b"


def make_model():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(8, activation="tanh", name="trunk")(inputs)
    outputs = {
        task: keras.layers.Dense(2, name=task)(features) for task in TASKS
    }
    return keras_mtl.MultiTaskModel(inputs, outputs)


def data():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(8, 6)).astype("float32")
    y = {
        task: (scale * rng.normal(size=(8, 2))).astype("float32")
        for task, scale in zip(TASKS, (1.0, 5.0, 2.0), strict=True)
    }
    return x, y


def make_absent(y, how):
    """Returns labels and sample weights without task b."""
    if how == "nan":
        return {**y, ABSENT: np.full_like(y[ABSENT], np.nan)}, None
    ones = np.ones(8, dtype="float32")
    weights = dict.fromkeys(TASKS, ones)
    return y, {**weights, ABSENT: 0 * ones}


@pytest.mark.parametrize(
    "name, how",
    [
        ("ew", "nan"),
        ("ew", "weight"),
        ("db_mtl", "nan"),
        ("fs_mtl", "nan"),
        ("fs_mtl", "weight"),
        # A row of zeros would be its answer.
        ("mgda", "nan"),
    ],
)
def test_an_absent_task_might_as_well_not_be_there(name, how):
    x, y = data()
    model = make_model()
    toy.compiled(
        model, toy.fresh_strategy(name), loss=dict.fromkeys(TASKS, "mse")
    )
    labels, sample_weight = make_absent(y, how)
    before = toy.arrays(model.get_layer(ABSENT).variables)
    logs = toy.step(model, x, labels, sample_weight=sample_weight)
    toy.assert_same(toy.arrays(model.get_layer(ABSENT).variables), before)
    without = make_model()
    losses = {**dict.fromkeys(TASKS, "mse"), ABSENT: None}
    toy.compiled(without, toy.fresh_strategy(name), loss=losses)
    expected = toy.step(without, x, {task: y[task] for task in "ac"})
    toy.assert_near(toy.weights(model), toy.weights(without))
    for key, value in expected.items():
        assert logs[key] == pytest.approx(value, rel=1e-6), key
    assert np.isnan(logs[f"{ABSENT}_loss"])


def test_an_absent_task_keeps_its_moving_average():
    x, y = data()
    model = toy.compiled(
        make_model(), "db_mtl", loss=dict.fromkeys(TASKS, "mse")
    )
    toy.step(model, x, y)
    aggregator = model.strategy.aggregator
    before = toy.arrays([aggregator.steps, *aggregator.averages])
    labels, _ = make_absent(y, "nan")
    toy.step(model, x, labels)
    after = toy.arrays([aggregator.steps, *aggregator.averages])
    k = TASKS.index(ABSENT)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old[k], new[k])
        others = [i for i in range(3) if i != k]
        assert not np.any(np.all(old[others] == new[others]))


def test_all_tasks_absent_changes_no_weight():
    x, y = data()
    model = toy.compiled(
        make_model(),
        toy.fresh_strategy("fs_mtl"),
        loss=dict.fromkeys(TASKS, "mse"),
    )
    before = toy.weights(model)
    toy.step(model, x, {k: np.full_like(v, np.nan) for k, v in y.items()})
    toy.assert_same(toy.weights(model), before)
    toy.step(model, x, y)
    assert toy.distance(toy.weights(model), before) > 1e-3


@pytest.mark.parametrize("partly", [False, True])
def test_a_loss_is_the_mean_over_labelled_samples(partly):
    x, y = data()
    missing = np.array([0, 1, 1, 0, 0, 0, 1, 0], dtype=bool)
    labels = {**y, ABSENT: y[ABSENT].copy()}
    # A label of which one entry is missing is missing.
    labels[ABSENT][missing, 0 if partly else slice(None)] = np.nan
    model = make_model()
    prediction = model.predict(x, verbose=0)[ABSENT]
    toy.compiled(model, toy.every_pass(), loss=dict.fromkeys(TASKS, "mse"))
    logs = toy.step(model, x, labels)
    errors = np.mean(np.square(prediction - y[ABSENT]), axis=-1)
    assert logs[f"{ABSENT}_loss"] == pytest.approx(
        np.mean(errors[~missing]), rel=1e-5
    )
    # The same by weights that make up for the missing ones.
    weighted = make_model()
    toy.compiled(weighted, None, loss=dict.fromkeys(TASKS, "mse"))
    weights = dict.fromkeys(TASKS, np.ones(8, dtype="float32"))
    weights[ABSENT] = ((~missing) * 8 / np.sum(~missing)).astype("float32")
    toy.step(weighted, x, y, sample_weight=weights)
    toy.assert_near(toy.weights(model), toy.weights(weighted))


def test_samples_of_weight_zero_may_hold_anything_finite():
    x, y = data()
    weights = dict.fromkeys(TASKS, np.ones(8, dtype="float32"))
    weights[ABSENT] = np.array([1, 0, 1, 0, 1, 1, 1, 1], dtype="float32")
    results = []
    for filler in (0.0, 1e6):
        labels = {**y, ABSENT: y[ABSENT].copy()}
        labels[ABSENT][weights[ABSENT] == 0] = filler
        model = toy.compiled(
            make_model(),
            toy.fresh_strategy("fs_mtl"),
            loss=dict.fromkeys(TASKS, "mse"),
        )
        toy.step(model, x, labels, sample_weight=weights)
        results.append(toy.weights(model))
    toy.assert_near(*results)


def test_whole_epochs_with_holes():
    rng = np.random.default_rng(0)
    x, y = toy.data(24)
    left = np.where(rng.random((24, 1)) < 0.5, np.nan, y["left"])
    left[:8] = np.nan  # a batch without the task
    labels = {**y, "left": left.astype("float32")}
    for name in toy.STRATEGIES:
        model = toy.compiled(toy.make_model(), toy.fresh_strategy(name))
        history = toy.fit(
            model, x, labels, epochs=2, validation_data=(x, labels)
        )
        for values in history.values():
            assert np.all(np.isfinite(values))
        assert history["val_loss"][-1] < history["val_loss"][0]


@pytest.mark.parametrize("by_pixel", [True, False])
def test_dense_labels_with_a_loss_of_the_users_own(by_pixel):
    def error(y_true, y_pred):
        squares = keras.ops.square(y_true - y_pred)
        axes = (-1,) if by_pixel else (1, 2, 3)
        return keras.ops.mean(squares, axis=axes)

    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 2))
    model = keras_mtl.MultiTaskModel(
        image,
        {
            task: keras.layers.Conv2D(1, 3, padding="same")(image)
            for task in "ab"
        },
    )
    toy.compiled(model, "mgda", loss={"a": error, "b": "mse"})
    generator = np.random.default_rng(0)
    x = generator.normal(size=(6, 4, 4, 2)).astype("float32")
    y = {t: generator.normal(size=(6, 4, 4, 1)).astype("float32") for t in "ab"}
    y["a"][:2, 1] = np.nan
    y["a"][5] = np.nan
    outputs = keras.ops.convert_to_numpy(model(x)["a"])
    logs = model.train_on_batch(x, y, return_dict=True)
    squares = np.square(outputs - y["a"])
    if not by_pixel:
        # An image with a missing pixel is left out as a whole.
        squares = squares[np.isfinite(squares).all(axis=(1, 2, 3))]
        assert len(squares) == 3
    assert logs["a_loss"] == pytest.approx(np.nanmean(squares), rel=1e-5)


def test_labels_are_filled_once_for_all_passes_of_a_step(monkeypatch):
    x, y = data()
    y = {**y, "a": np.where(y["a"] > 0, np.nan, y["a"])}
    model = make_model()
    toy.compiled(
        model,
        "fs_mtl",
        loss=dict.fromkeys(TASKS, "mse"),
        run_eagerly=True,
        check="never",
    )
    # What a plan's first step needs to know besides is not counted.
    model.train_on_batch(x, y)
    filled, fill = [], labels.fill_missing

    def noting(by_task, *others):
        filled.extend(by_task)
        return fill(by_task, *others)

    monkeypatch.setattr(labels, "fill_missing", noting)
    model.train_on_batch(x, y)
    assert sorted(filled) == sorted(TASKS)
