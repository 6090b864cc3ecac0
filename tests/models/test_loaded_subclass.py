"""Files of models with a `call` of their own."""

import keras
import numpy as np
import pytest
from training import toy

import keras_mtl


@keras.saving.register_keras_serializable("loaded_subclass")
class Subclassed(keras_mtl.MultiTaskModel):
    """Two heads on a dense layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.trunk = keras.layers.Dense(8, activation="tanh")
        self.left = keras.layers.Dense(1)
        self.right = keras.layers.Dense(3, activation="softmax")

    def call(self, inputs):
        features = self.trunk(inputs)
        return {"left": self.left(features), "right": self.right(features)}


def test_weights_and_training_come_back(tmp_path):
    model = Subclassed()
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    toy.compiled(model, "db_mtl", optimizer)
    toy.step(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for _ in range(2):
        toy.assert_same(toy.snapshot(loaded), toy.snapshot(model))
        toy.step(model)
        toy.step(loaded)


@keras.saving.register_keras_serializable("loaded_subclass")
class WithBuild(Subclassed):
    """Makes its weights without a call."""

    def build(self, input_shape):
        self.trunk.build(input_shape)
        self.left.build((None, 8))
        self.right.build((None, 8))
        self.built = True


def test_a_build_of_its_own_keeps_the_strategys_state(tmp_path):
    model = toy.compiled(WithBuild(), "db_mtl")
    toy.step(model)
    model.save(tmp_path / "model.keras")
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    toy.assert_same(toy.snapshot(loaded), toy.snapshot(model))
    fresh = toy.compiled(WithBuild(), "db_mtl")
    fresh.build((None, 6))
    before = toy.weights(fresh)
    # Nobody knows yet which layers serve which task.
    with pytest.raises(ValueError, match="call the model on a batch"):
        fresh.load_weights(path)
    toy.assert_same(toy.weights(fresh), before)
    fresh(np.zeros((2, 6), "float32"))
    fresh.load_weights(path)
    toy.assert_same(toy.snapshot(fresh), toy.snapshot(model))


def test_build_makes_the_weights():
    model = Subclassed()
    model.build((None, 6))
    assert [tuple(v.shape) for v in model.weights[:2]] == [(6, 8), (8,)]
    assert len(model.weights) == 6
    assert np.shape(model(np.zeros((2, 6)))["right"]) == (2, 3)
