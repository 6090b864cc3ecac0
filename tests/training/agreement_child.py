"""Trains each strategy for 50 steps and stores the weights."""

import sys

import keras
import numpy as np

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import strategies

STEPS = 50
STRATEGIES = {
    # Random orders, state, and a solver in decomposed passes: golden values
    # of each backend are for the rest.
    "pcgrad": lambda: aggregators.PCGrad(seed=1),
    "db_mtl": lambda: "db_mtl",
    "fs_mtl": lambda: strategies.FSMTL("cagrad", rho=0.5),
}


def make_model():
    inputs = keras.Input((6,))
    x = keras.layers.Dense(8, activation="tanh")(inputs)
    x = keras.layers.Dense(6, activation="tanh")(x)
    model = keras_mtl.MultiTaskModel(
        inputs,
        {
            "a": keras.layers.Dense(1)(x),
            "b": keras.layers.Dense(3, activation="softmax")(x),
            "c": keras.layers.Dense(1)(x),
        },
    )
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=tuple(variable.shape)) * 0.5)
    return model


def train(strategy):
    model = make_model()
    model.compile(
        keras.optimizers.SGD(0.02),
        {"a": "mse", "b": "sparse_categorical_crossentropy", "c": "mse"},
        strategy=strategy,
    )
    rng = np.random.default_rng(1)
    x = rng.normal(size=(STEPS * 16, 6)).astype("float32")
    y = {"a": x[:, :1], "b": np.argmax(x[:, :3], 1), "c": x[:, 1:2] + 1}
    model.fit(x, y, batch_size=16, shuffle=False, verbose=0)
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


def main(path):
    np.savez(path, **{name: train(make()) for name, make in STRATEGIES.items()})


if __name__ == "__main__":
    main(sys.argv[1])
