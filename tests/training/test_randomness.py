"""All passes of a step see the same random numbers."""

import keras
import pytest

import keras_mtl
from training import toy


@pytest.mark.parametrize("dropout_seed", [None, 7])
@pytest.mark.parametrize("aggregator", ["sum", "pcgrad"])
def test_all_passes_see_the_same_dropout_mask(aggregator, dropout_seed):
    def update(strategy):
        model = toy.make_model(dropout=0.5, dropout_seed=dropout_seed)
        toy.compiled(model, strategy)
        keras.utils.set_random_seed(1)
        toy.step(model)
        return toy.weights(model)

    # Another mask in the perturbed pass would differ by about 0.1.
    plain = update(aggregator)
    for rho in (0.0, 1e-5):
        flat = update(keras_mtl.strategies.FSMTL(aggregator, rho=rho))
        toy.assert_near(flat, plain, atol=1e-4)


@pytest.mark.parametrize("dropout_seed", [None, 7])
def test_masks_change_from_step_to_step(dropout_seed):
    model = toy.make_model(dropout=0.5, dropout_seed=dropout_seed)
    optimizer = keras.optimizers.SGD(0.0)
    toy.compiled(model, toy.fresh_strategy("fs_mtl"), optimizer)
    first, second = toy.step(model), toy.step(model)
    assert first["left_loss"] != second["left_loss"]


def random_heads(dropout_seed):
    """Dropout in every head, so that part of the model draws less."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(40, activation="tanh")(inputs)
    outputs = {}
    for task, units, end in (("left", 1, None), ("right", 3, "softmax")):
        dropped = keras.layers.Dropout(0.5, seed=dropout_seed)(features)
        outputs[task] = keras.layers.Dense(units, activation=end)(dropped)
    return keras_mtl.MultiTaskModel(inputs, outputs)


@pytest.mark.parametrize("dropout_seed", [None, 7])
def test_heads_see_their_dropout_masks_again(dropout_seed):
    weights = []
    for strategy in ("ew", toy.every_pass()):
        model = toy.compiled(random_heads(dropout_seed), strategy)
        keras.utils.set_random_seed(1)
        toy.step(model)
        toy.step(model)
        weights.append(toy.weights(model))
    toy.assert_near(*weights)
