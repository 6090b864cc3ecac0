"""Without a strategy, and with "ew", training is that of `keras.Model`."""

import keras
import numpy as np
import pytest

import keras_mtl
from training import toy

FEATURES = {
    "plain": {},
    "seeded_dropout": {"dropout": 0.4, "dropout_seed": 11, "batch_norm": True},
    "unseeded_dropout": {"dropout": 0.4, "regularizer": "l2"},
}
COMPILE = {
    "loss_only": {},
    "everything": {
        "loss_weights": {"left": 0.3, "right": 2.0},
        "metrics": {"left": ["mae"], "right": ["accuracy"]},
        "weighted_metrics": {"right": ["accuracy"]},
    },
}
CASES = [
    ("plain", "loss_only"),
    ("seeded_dropout", "everything"),
    ("unseeded_dropout", "everything"),
]


def sample_weights():
    rng = np.random.default_rng(4)
    return {
        "left": rng.uniform(0.5, 2.0, size=toy.NUM_SAMPLES).astype("float32"),
        "right": rng.uniform(0.5, 2.0, size=toy.NUM_SAMPLES).astype("float32"),
    }


def run(cls, strategy, features, settings):
    model = toy.make_model(cls, **FEATURES[features])
    # Adam would amplify the rounding of a zero gradient, that of a bias which
    # a normalization follows.
    toy.compiled(model, strategy, **COMPILE[settings])
    x, y = toy.data()
    weighted = settings == "everything"
    history = toy.fit(
        model,
        x,
        y,
        sample_weight=sample_weights() if weighted else None,
        validation_data=(x[:8], {k: v[:8] for k, v in y.items()}),
        # Where there are metrics to build, Keras draws a batch for that.
        shuffle=weighted,
    )
    return {
        "model": model,
        "history": history,
        "weights": toy.weights(model),
        "evaluate": model.evaluate(x, y, batch_size=8, verbose=0),
        "by_name": model.evaluate(
            x, y, batch_size=8, verbose=0, return_dict=True
        ),
        "predict": model.predict(x, batch_size=8, verbose=0),
    }


def check(ours, theirs, atol):
    assert list(ours["history"]) == list(theirs["history"])
    for name, values in theirs["history"].items():
        np.testing.assert_allclose(
            ours["history"][name], values, rtol=atol, atol=atol, err_msg=name
        )
    toy.assert_near(ours["weights"], theirs["weights"], atol=atol)
    np.testing.assert_allclose(
        ours["evaluate"], theirs["evaluate"], rtol=atol, atol=atol
    )
    assert list(ours["by_name"]) == list(theirs["by_name"])
    np.testing.assert_allclose(
        list(ours["by_name"].values()),
        list(theirs["by_name"].values()),
        rtol=atol,
        atol=atol,
    )
    assert ours["model"].metrics_names == theirs["model"].metrics_names
    assert list(ours["predict"]) == list(theirs["predict"])
    for task, values in theirs["predict"].items():
        np.testing.assert_allclose(
            ours["predict"][task], values, rtol=atol, atol=atol
        )


@pytest.mark.parametrize("features, settings", CASES)
def test_training_is_that_of_keras(features, settings):
    theirs = run(keras.Model, None, features, settings)
    ours = run(keras_mtl.MultiTaskModel, None, features, settings)
    check(ours, theirs, atol=0.0)
    equal_weighting = run(keras_mtl.MultiTaskModel, "ew", features, settings)
    check(equal_weighting, theirs, atol=1e-6)


def test_weights_have_moved():
    # Or all comparisons above would be empty.
    model = toy.make_model()
    before = toy.weights(model)
    toy.fit(toy.compiled(model, "ew"))
    assert toy.distance(before, toy.weights(model)) > 0.05


def test_names_and_order_of_results():
    settings = COMPILE["everything"]
    theirs = toy.compiled(toy.make_model(keras.Model), **settings)
    x, y = toy.data()
    names = list(theirs.evaluate(x, y, verbose=0, return_dict=True))
    values = theirs.evaluate(x, y, verbose=0)
    by_name = theirs.evaluate(x, y, verbose=0, return_dict=True)
    # The list has an order of its own.
    position = [list(by_name.values()).index(value) for value in values]
    for strategy in (None, toy.fs_mtl()):
        ours = toy.compiled(toy.make_model(), strategy, **settings)
        assert list(ours.evaluate(x, y, verbose=0, return_dict=True)) == names
        toy.fit(ours, epochs=1)
        values = ours.evaluate(x, y, verbose=0)
        by_name = ours.evaluate(x, y, verbose=0, return_dict=True)
        by_position = [list(by_name.values())[i] for i in position]
        assert values == pytest.approx(by_position, rel=1e-6)
        assert list(by_name) == names


@pytest.mark.parametrize("strategy", [None, "ew"])
def test_one_step_on_a_batch_is_keras(strategy):
    x, y = toy.data(8)
    settings = {"metrics": {"right": ["accuracy"]}}
    ours = toy.compiled(toy.make_model(), strategy, **settings)
    theirs = toy.compiled(toy.make_model(keras.Model), **settings)
    for _ in range(2):
        left = ours.train_on_batch(x, y, return_dict=True)
        right = theirs.train_on_batch(x, y, return_dict=True)
        assert list(left) == list(right)
        assert list(left.values()) == pytest.approx(
            list(right.values()), abs=1e-6
        )
    assert ours.test_on_batch(x, y) == pytest.approx(
        theirs.test_on_batch(x, y), abs=1e-6
    )
    toy.assert_near(toy.weights(ours), toy.weights(theirs))


def test_outputs_as_a_list_are_keras():
    x, y = toy.data()
    labels = [y["left"], y["right"]]
    settings = {
        "loss": ["mse", "sparse_categorical_crossentropy"],
        "loss_weights": [0.5, 1.0],
        "metrics": [["mae"], ["accuracy"]],
    }

    def both(cls, strategy):
        model = toy.make_model(cls, as_list=True)
        toy.compiled(model, strategy, **settings)
        history = toy.fit(model, x, labels)
        return model, history

    theirs, their_history = both(keras.Model, None)
    for strategy in (None, "ew"):
        ours, history = both(keras_mtl.MultiTaskModel, strategy)
        assert ours.tasks == ["left", "right"]
        assert list(history) == list(their_history)
        for name, values in their_history.items():
            np.testing.assert_allclose(
                [float(value) for value in history[name]],
                [float(value) for value in values],
                atol=1e-6,
            )
        toy.assert_near(toy.weights(ours), toy.weights(theirs))
        assert isinstance(ours.predict(x, verbose=0), list)
