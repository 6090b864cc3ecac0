"""Regularizers and `add_loss`, which belong to no task."""

import keras
import numpy as np
import pytest

import keras_mtl
from training import toy


def penalised(cls, factor):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(
        8,
        activation="tanh",
        kernel_regularizer=keras.regularizers.L2(0.1 * factor),
        activity_regularizer=keras.regularizers.L2(0.1 * factor),
    )(inputs)
    if factor:
        features = toy.WeightPenalty()(features)
    left = keras.layers.Dense(
        1, kernel_regularizer=keras.regularizers.L1(0.1 * factor)
    )(features)
    right = keras.layers.Dense(3, activation="softmax")(features)
    return cls(inputs, {"left": left, "right": right})


def effect_of_penalties(cls, strategy):
    results = []
    for factor in (0, 1):
        model = toy.compiled(penalised(cls, factor), strategy and strategy())
        logs = toy.step(model)
        values = toy.weights(model)
        if factor:
            # The weight that has only a penalty: w - 0.1 * 2 w.
            (own,) = [v for v in values if v.shape == (7,)]
            np.testing.assert_allclose(own, 0.8, atol=1e-6)
            values = [v for v in values if v is not own]
        results.append((values, logs["loss"]))
    (without, _), (with_penalties, loss) = results
    return [b - a for a, b in zip(without, with_penalties, strict=True)], loss


PENALISED = {
    **{
        name: lambda name=name: toy.fresh_strategy(name)
        for name in toy.STRATEGIES
    },
    "pcgrad": lambda: keras_mtl.strategies.get("pcgrad"),
    "global_sam": lambda: keras_mtl.Strategy(
        flatness=keras_mtl.flatness.GlobalSAM(rho=0.0)
    ),
    "global_sam_pcgrad": lambda: keras_mtl.Strategy(
        flatness=keras_mtl.flatness.GlobalSAM(rho=0.0), aggregator="pcgrad"
    ),
}


@pytest.mark.parametrize("strategy", PENALISED)
def test_penalties_are_added_after_aggregation(strategy):
    expected, expected_loss = effect_of_penalties(keras.Model, None)
    effect, loss = effect_of_penalties(
        keras_mtl.MultiTaskModel, PENALISED[strategy]
    )
    assert max(np.abs(e).max() for e in expected) > 1e-3
    toy.assert_near(effect, expected, atol=2e-6)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
