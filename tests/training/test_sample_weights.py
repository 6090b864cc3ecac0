"""Weights of samples and of losses, as in Keras."""

import keras
import numpy as np
import pytest

from training import toy


@pytest.mark.parametrize("kind", ["dict", "array", "partial"])
def test_sample_weights_and_loss_weights(kind):
    rng = np.random.default_rng(1)
    sample_weight = rng.uniform(0.1, 3.0, size=8).astype("float32")
    if kind == "dict":
        sample_weight = {
            "left": sample_weight,
            "right": sample_weight[::-1].copy(),
        }
    settings = {
        "loss_weights": {"left": 0.2, "right": 3.0},
        "weighted_metrics": {"left": ["mae"], "right": ["accuracy"]},
    }
    theirs = toy.compiled(toy.make_model(keras.Model), **settings)
    ours = toy.compiled(toy.make_model(), toy.every_pass(), **settings)
    ours_weight = sample_weight
    if kind == "partial":
        # For Keras, there must be weights for every output.
        ours_weight = {"left": sample_weight}
        sample_weight = {
            "left": sample_weight,
            "right": np.ones(8, dtype="float32"),
        }
    expected = toy.step(theirs, sample_weight=sample_weight)
    logs = toy.step(ours, sample_weight=ours_weight)
    assert list(logs) == list(expected)
    assert logs == pytest.approx(expected, abs=1e-6)
    toy.assert_near(toy.weights(ours), toy.weights(theirs))
