"""Wrote the files beside it, with version 0.1.0.

On JAX: Keras reads the optimizers of files from torch on torch alone.

    KERAS_BACKEND=jax python make.py FOLDER
"""

import sys
from pathlib import Path

import keras
import numpy as np

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import strategies

STRATEGIES = {
    "fs_mtl": lambda: strategies.FSMTL("cagrad", rho=0.1),
    "db_mtl": strategies.DBMTL,
    "moco": aggregators.MoCo,
}
TASKS = ("a", "b")


def data():
    """One batch."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(16, 4)).astype("float32")
    return x, {
        task: generator.normal(size=(16, 1)).astype("float32") ** 2
        for task in TASKS
    }


def make_model(strategy):
    """A model with state of layers, of the optimizer and of the strategy."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(5, activation="tanh")(inputs)
    x = keras.layers.BatchNormalization()(x)
    model = keras_mtl.MultiTaskModel(
        inputs, {task: keras.layers.Dense(1, name=task)(x) for task in TASKS}
    )
    model.compile(
        keras.optimizers.Adam(0.01),
        dict.fromkeys(TASKS, "mse"),
        strategy=strategy,
    )
    return model


def train(model):
    """Makes three steps, and returns weights and state of the strategy."""
    for _ in range(3):
        model.train_on_batch(*data())
    return [
        keras.ops.convert_to_numpy(variable.value)
        for variable in [*model.weights, *model.strategy.variables]
    ]


def main(folder):
    """Writes a file in the middle of training, and what came of it."""
    for name, make in STRATEGIES.items():
        model = make_model(make())
        train(model)
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", *train(model))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
