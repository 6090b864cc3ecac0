"""Files of models with a `call` of their own."""

import keras
import numpy as np
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


def test_build_makes_the_weights():
    model = Subclassed()
    model.build((None, 6))
    assert [tuple(v.shape) for v in model.weights[:2]] == [(6, 8), (8,)]
    assert len(model.weights) == 6
    assert np.shape(model(np.zeros((2, 6)))["right"]) == (2, 3)
