"""Faults at random steps, of every kind, through one compiled step."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from training import toy

#: A label whose loss is 0 and whose gradient is not finite.
KINK = 100.0
#: What needs data of its own, or more tasks.
NEEDY = ("auto_lambda", "krum", "trimmed_mean")


@keras.saving.register_keras_serializable("faults")
def scaled(y_true, y_pred):
    """`|y_true y_pred|`, but at `KINK`, where its gradient is 0 / 0."""
    at_kink = ops.equal(y_true, KINK)
    safe = ops.where(at_kink, 0.0, y_true)
    root = ops.sqrt(ops.square(ops.where(at_kink, y_pred - y_pred, 0.0)))
    return ops.mean(ops.abs(safe * y_pred) + root, axis=-1)


def make_model(name, **kwargs):
    model = toy.make_model(batch_norm=True, dropout=0.3, dropout_seed=4)
    strategy = toy.fresh_strategy(name)
    toy.compiled(
        model,
        strategy,
        keras.optimizers.SGD(0.01, momentum=0.9),
        loss={"left": scaled, "right": "sparse_categorical_crossentropy"},
        **kwargs,
    )
    return model


def everything(model):
    return {
        **toy.snapshot(model),
        "state": toy.arrays(model.network_variables(False)),
    }


def assert_finite(model):
    for part, arrays in everything(model).items():
        for array in arrays:
            assert np.all(np.isfinite(array)), part


def with_left(y, value):
    """Labels of which those of the left task are replaced."""
    return {**y, "left": np.full_like(y["left"], value)}


def nan_input(x, y):
    x = x.copy()
    x[1, 2] = np.nan
    return x, y


def infinite_input(x, y):
    x = x.copy()
    x[1, 2] = -np.inf
    return x, y


def infinite_label(x, y):
    return x, with_left(y, np.inf)


def bad_gradient(x, y):
    return x, with_left(y, KINK)


FAULTS = {
    nan_input: "'left', 'right'",
    infinite_input: "'left', 'right'",
    infinite_label: "'left'",
    bad_gradient: "'left'",
}


def check_random_faults(name, num_steps, seed):
    """Bad steps change nothing and are told of; good ones go on."""
    rng = np.random.default_rng(seed)
    model = make_model(name)
    x, y = toy.first_batch()
    toy.step(model, x, y)
    faults = dict(FAULTS)
    if name in ("global_sam", "samo"):
        # The sum of the gradients says where to look next, for all tasks.
        faults[bad_gradient] = "'left', 'right'"
    for number in range(2, num_steps + 2):
        before = everything(model)
        if number % 2:
            toy.step(model, x, y)
            moved = toy.distance(before["weights"], toy.weights(model))
            assert moved > 0
            assert_finite(model)
            continue
        fault = list(faults)[rng.integers(len(faults))]
        match = f"task {faults[fault]} .*training step {number} "
        with pytest.raises(keras_mtl.NonFiniteError, match=match):
            toy.step(model, *fault(x, y))
        toy.assert_same(everything(model), before)


def test_random_faults():
    check_random_faults("famo", num_steps=12, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [n for n in keras_mtl.strategies.names() if n not in NEEDY]
)
def test_random_faults_of_every_strategy(name):
    check_random_faults(name, num_steps=30, seed=1)


def check_scales(name):
    """Losses from 0 to 1e30: finite, or refused with nothing changed."""
    model = make_model(name)
    x, y = toy.first_batch()
    for size in (0.0, 1e-30, 1e-10, 1e10, 1e15):
        toy.step(model, x, with_left(y, size))
        assert_finite(model)
        # Of the weights that a large loss has moved far.
        model.set_weights(make_model(name).get_weights())
    before = everything(model)
    try:
        toy.step(model, x, with_left(y, 1e30))
    except keras_mtl.NonFiniteError as error:
        # The square of a norm has no float32: that of a task's gradient, or
        # one that only the merging took.
        assert "task 'left' " in str(error) or "The update " in str(error)
        assert "training step 6 " in str(error)
        toy.assert_same(everything(model), before)
    assert_finite(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["ew", "mgda", "grad_drop", "moco", "famo", "db_mtl", "fs_mtl"]
)
def test_scales_of_a_loss(name):
    check_scales(name)


class Brittle(keras.layers.Layer):
    """Multiplies by a weight of 1, and with infinity by any other."""

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(), initializer="ones", name="f")

    def call(self, inputs):
        broken = ops.where(ops.equal(self.factor, 1.0), 1.0, float("inf"))
        return inputs * self.factor * ops.stop_gradient(broken)


@pytest.mark.parametrize(
    "place, names",
    [
        ("left", "'left'"),
        pytest.param("trunk", "'left', 'right'", marks=pytest.mark.slow),
    ],
)
def test_only_the_perturbed_pass_breaks(place, names):
    inputs = keras.Input((6,))
    trunk = keras.layers.Dense(4, activation="tanh")
    features = trunk(inputs)
    if place == "trunk":
        features = Brittle()(features)
    left = features if place == "trunk" else Brittle()(features)
    model = keras_mtl.MultiTaskModel(
        inputs,
        {
            "left": keras.layers.Dense(1, name="left")(left),
            "right": keras.layers.Dense(3, name="right")(features),
        },
    )
    loss = {
        "left": "mse",
        "right": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    toy.compiled(model, toy.fresh_strategy("fs_mtl"), loss=loss)
    before = everything(model)
    match = f"task {names} .*training step 1 "
    with pytest.raises(keras_mtl.NonFiniteError, match=match):
        toy.step(model)
    toy.assert_same(everything(model), before)
