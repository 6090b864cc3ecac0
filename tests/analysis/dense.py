"""Losses of a small network in NumPy: dense Hessians by central differences."""

import keras
import numpy as np

import keras_mtl

TASKS = ("a", "b")
SAMPLES = 10


def data(samples=SAMPLES):
    """Inputs `[n, 3]` and labels of two regressions."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=(samples, 3)).astype("float32")
    a = generator.normal(size=(samples, 1)).astype("float32")
    b = 2.0 * generator.normal(size=(samples, 2)).astype("float32")
    return x, {"a": a, "b": b}


def make_model(batch_norm=False, **kwargs):
    """3 inputs, 4 units of tanh, one output and two."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, activation="tanh", name="trunk")(inputs)
    if batch_norm:
        x = keras.layers.BatchNormalization(name="bn")(x)
    model = keras_mtl.MultiTaskModel(
        inputs,
        {
            "a": keras.layers.Dense(1, name="a")(x),
            "b": keras.layers.Dense(2, name="b")(x),
        },
    )
    kwargs.setdefault("loss_weights", {"a": 3.0, "b": 0.5})
    model.compile(
        keras.optimizers.SGD(0.1), loss=dict.fromkeys(TASKS, "mse"), **kwargs
    )
    # No bias is 0, which an adaptive radius would not move.
    generator = np.random.default_rng(2)
    for variable in model.trainable_variables:
        shape = tuple(variable.shape)
        variable.assign(generator.normal(size=shape).astype("float32"))
    return model


def flat_weights(model, task, variables="all"):
    """Weights of trunk and head as one float64 vector, and its loss."""
    names = ["trunk"] if variables == "shared" else ["trunk", task]
    blocks = {}
    for name in ("trunk", *TASKS):
        blocks[name] = [
            keras.ops.convert_to_numpy(v).astype("float64")
            for v in model.get_layer(name).weights
        ]
    start = np.concatenate(
        [array.ravel() for name in names for array in blocks[name]]
    )

    def loss(vector, x, y):
        parts, position = {}, 0
        for name in ("trunk", *TASKS):
            parts[name] = []
            for array in blocks[name]:
                if name in names:
                    piece = vector[position : position + array.size]
                    array = piece.reshape(array.shape)
                    position += array.size
                parts[name].append(array)
        hidden = np.tanh(x @ parts["trunk"][0] + parts["trunk"][1])
        error = hidden @ parts[task][0] + parts[task][1] - y[task]
        return np.mean(np.square(error))

    return start, loss


def gradient(function, at, step=1e-5):
    """Central differences in float64: exact to about 1e-9."""
    rows = step * np.eye(len(at))
    return np.array(
        [(function(at + row) - function(at - row)) / (2 * step) for row in rows]
    )


def hessian(function, at, step=1e-4):
    """Central differences of central differences: to about 1e-7."""
    rows = step * np.eye(len(at))
    matrix = np.array(
        [
            (
                gradient(function, at + row, step)
                - gradient(function, at - row, step)
            )
            / (2 * step)
            for row in rows
        ]
    )
    return (matrix + matrix.T) / 2
