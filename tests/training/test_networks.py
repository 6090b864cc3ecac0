"""Frozen layers, nested models, layers called twice, and masks."""

import keras
import numpy as np
import pytest

import keras_mtl
from training import toy


@pytest.mark.parametrize("strategy", toy.STRATEGIES)
@pytest.mark.parametrize("frozen", ["trunk", "left"])
def test_frozen_layers_stay(frozen, strategy):
    model = toy.make_model(batch_norm=True)
    model.get_layer(frozen).trainable = False
    toy.compiled(model, toy.fresh_strategy(strategy))
    paths = [variable.path for variable in model.weights]
    before = dict(zip(paths, toy.weights(model), strict=True))
    toy.step(model)
    for path, value in zip(paths, toy.weights(model), strict=True):
        moved = not np.array_equal(before[path], value)
        assert moved == (not path.startswith(f"{frozen}/"))


def twice_and_nested(cls):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    twice = keras.layers.Dense(6, activation="tanh", name="twice")
    features = twice(twice(inputs))
    inner = keras.Input((6,))
    hidden = keras.layers.Dropout(0.3, seed=2)(inner)
    nested = keras.Model(inner, keras.layers.Dense(4, name="deep")(hidden))
    tail = keras.layers.Dense(1, name="left")
    left = tail(nested(features))
    right = keras.layers.Dense(3, activation="softmax")(nested(inputs))
    return cls(inputs, {"left": left, "right": right})


def test_layers_called_twice_and_nested_models():
    theirs = toy.compiled(twice_and_nested(keras.Model))
    ours = toy.compiled(
        twice_and_nested(keras_mtl.MultiTaskModel), toy.every_pass()
    )
    paths = [v.path for v in ours.shared_variables]
    assert paths == ["deep/kernel", "deep/bias"]
    own = [v.path for v in ours.task_variables["left"]]
    assert own == ["twice/kernel", "twice/bias", "left/kernel", "left/bias"]
    for _ in range(2):
        toy.step(theirs)
        toy.step(ours)
    toy.assert_near(toy.weights(ours), toy.weights(theirs))


def masked(cls, kind):
    keras.utils.set_random_seed(3)
    if kind == "embedding":
        inputs = keras.Input((5,), dtype="int32")
        sequence = keras.layers.Embedding(9, 4, mask_zero=True)(inputs)
        pooled = keras.layers.GlobalAveragePooling1D()(sequence)
    else:
        inputs = keras.Input((5, 2))
        sequence = keras.layers.Masking()(inputs)
        pooled = keras.layers.LSTM(3)(sequence)
    # The loss of an output by time step is masked too.
    token = keras.layers.Dense(1, name="token")(sequence)
    return cls(inputs, {"token": token, "label": keras.layers.Dense(1)(pooled)})


@pytest.mark.parametrize("kind", ["embedding", "lstm"])
def test_masks_reach_layers_and_losses(kind):
    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, size=(6, 5))
    x[:, 3:] = 0
    x[0, 1:] = 0
    if kind == "lstm":
        x = np.stack([x, x], axis=-1).astype("float32")
    y = {
        "token": rng.normal(size=(6, 5, 1)).astype("float32"),
        "label": rng.normal(size=(6, 1)).astype("float32"),
    }
    theirs = toy.compiled(masked(keras.Model, kind), loss="mse")
    ours = toy.compiled(
        masked(keras_mtl.MultiTaskModel, kind), toy.every_pass(), loss="mse"
    )
    assert toy.step(ours, x, y) == pytest.approx(
        toy.step(theirs, x, y), abs=1e-6
    )
    toy.assert_near(toy.weights(ours), toy.weights(theirs))


def test_layers_that_assign_to_trained_weights_are_refused():
    def make_model():
        inputs = keras.Input((6,))
        layer = keras.layers.SpectralNormalization(
            keras.layers.Dense(4), power_iterations=50
        )
        features = layer(inputs)
        outputs = {
            "left": keras.layers.Dense(1)(features),
            "right": keras.layers.Dense(3, activation="softmax")(features),
        }
        return keras_mtl.MultiTaskModel(inputs, outputs), layer

    x, y = toy.data()
    model, layer = make_model()
    toy.compiled(model, "ew")
    before = toy.weights(model)
    with pytest.raises(ValueError, match=r"kernel.*kernel_constraint"):
        toy.step(model, x, y)
    toy.assert_same(toy.weights(model), before)
    # It assigns to what is not trained.
    layer.trainable = False
    toy.compiled(model, "ew")
    toy.step(model, x, y)
    _, norms, _ = np.linalg.svd(keras.ops.convert_to_numpy(layer.layer.kernel))
    # By a power method, which ends near it.
    assert norms[0] == pytest.approx(1, abs=0.01)
    model, _ = make_model()
    toy.compiled(model, None)
    toy.step(model, x, y)
