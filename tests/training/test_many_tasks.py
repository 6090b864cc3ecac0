"""Every method with 40 tasks, as many as CelebA has attributes."""

import keras
import numpy as np
import pytest

import keras_mtl

NUM_TASKS = 40
TASKS = [f"attribute_{index}" for index in range(NUM_TASKS)]

# It learns from data of its own: see test_auto_lambda.py.
NAMES = sorted({*keras_mtl.strategies.names()} - {"auto_lambda"})


def make_model():
    """A binary classifier by attribute on a shared layer."""
    inputs = keras.Input((16,))
    features = keras.layers.Dense(32, activation="relu")(inputs)
    return keras_mtl.MultiTaskModel(
        inputs,
        {
            task: keras.layers.Dense(1, activation="sigmoid", name=task)(
                features
            )
            for task in TASKS
        },
    )


def attributes(num_samples=64):
    """Attributes that are linear in the input, half of them in a few."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(num_samples, 16)).astype("float32")
    directions = generator.normal(size=(16, NUM_TASKS))
    directions[:, ::2] = directions[:, :2] @ generator.normal(
        size=(2, NUM_TASKS // 2)
    )
    labels = (x @ directions > 0).astype("float32")
    return x, {task: labels[:, k, None] for k, task in enumerate(TASKS)}


# A step of 40 backward passes is long to compile.
@pytest.mark.slow_on("jax", "tensorflow")
@pytest.mark.parametrize("name", NAMES)
def test_trains(name):
    model = make_model()
    model.compile(
        keras.optimizers.Adam(0.01), "binary_crossentropy", strategy=name
    )
    x, y = attributes()
    losses = [model.train_on_batch(x, y, return_dict=True) for _ in range(10)]
    first, last = (
        np.array([logs[f"{task}_loss"] for task in TASKS])
        for logs in (losses[0], losses[-1])
    )
    assert np.all(np.isfinite(last))
    # Not each of them by every method: PBI brings them to a ratio.
    assert np.mean(last) < np.mean(first)
