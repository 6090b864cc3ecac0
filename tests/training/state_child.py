"""Models of the state tests, and the second half of their training.

Run as a program it is the new process: it loads each file it is given, trains
on, and stores all state.
"""

import sys

import keras
import numpy as np

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import strategies

STEPS = 10
LOSS = {"a": "mse", "b": "sparse_categorical_crossentropy", "c": "mae"}
STRATEGIES = {
    "fs_mtl": lambda: strategies.FSMTL("pcgrad"),
    "db_mtl": strategies.DBMTL,
    "composed": lambda: strategies.FSMTL(
        aggregators.DBMTL(), balancer="log", interval=3
    ),
}


class Steps(keras.utils.PyDataset):
    """Batches that depend on the number of the step alone."""

    def __init__(self, start, steps):
        super().__init__()
        self.start, self.steps = start, steps

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        return batch(self.start + index)


def batch(step):
    rng = np.random.default_rng(step)
    x = rng.normal(size=(16, 6)).astype("float32")
    labels = {"a": x[:, :1], "b": np.argmax(x[:, :3], 1), "c": x[:, 1:2] + 2}
    return x, labels


def make_network(cls=keras_mtl.MultiTaskModel):
    inputs = keras.Input((6,))
    x = keras.layers.Dense(8, activation="tanh", name="trunk")(inputs)
    x = keras.layers.BatchNormalization(name="normalization")(x)
    x = keras.layers.Dropout(0.3, name="unseeded")(x)
    x = keras.layers.Dropout(0.3, seed=7, name="seeded")(x)
    outputs = {
        "a": keras.layers.Dense(1, name="head_a")(x),
        "b": keras.layers.Dense(3, activation="softmax", name="head_b")(x),
        "c": keras.layers.Dense(1, name="head_c")(x),
    }
    return cls(inputs, outputs)


def make_model(strategy):
    model = make_network()
    model.compile(keras.optimizers.Adam(0.01), LOSS, strategy=strategy)
    return model


def train(model, start):
    # Keras shuffles by a global generator, which is no part of the model.
    model.fit(Steps(start, STEPS), verbose=0, shuffle=False)


def state(model):
    """All state by name: weights, seeds, optimizer, strategy."""
    variables = [*model.variables, *model.optimizer.variables]
    return {
        f"{i}:{variable.path.split('/')[-1]}": keras.ops.convert_to_numpy(
            variable.value
        )
        for i, variable in enumerate(variables)
        # Counts the steps of this process.
        if not variable.path.startswith("step_monitor")
    }


def main(folder):
    for name in STRATEGIES:
        model = keras.models.load_model(f"{folder}/{name}.keras")
        train(model, STEPS)
        np.savez(f"{folder}/{name}.npz", **state(model))


if __name__ == "__main__":
    main(sys.argv[1])
