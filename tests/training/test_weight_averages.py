"""Optimizers that keep averages of the weights (`use_ema`)."""

import keras
import numpy as np
import pytest

import keras_mtl
from training import toy


def averaged():
    return keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)


def scaled():
    return keras.optimizers.LossScaleOptimizer(averaged())


@pytest.mark.parametrize(
    "optimizer", [averaged, pytest.param(scaled, marks=pytest.mark.slow)]
)
def test_a_fit_without_updates_leaves_the_weights(optimizer):
    """Keras assigns the averages, which start as zeros, at the end of it."""
    model = toy.make_model()
    strategy = keras_mtl.Strategy(accumulate=9)
    toy.compiled(model, strategy, optimizer())
    before = toy.weights(model)
    x, y = toy.data()
    with pytest.raises(ValueError, match="do not fit"):
        toy.fit(model, x, {**y, "left": np.zeros((24, 2, 2))})
    toy.assert_same(toy.weights(model), before)
    toy.fit(model, x, y, epochs=1)
    toy.assert_same(toy.weights(model), before)


@pytest.mark.parametrize("strategy", ["mgda", None])
def test_other_variables_than_those_averaged_are_refused_first(strategy):
    model = toy.make_model()
    toy.compiled(model, strategy, averaged())
    toy.fit(model, epochs=1)
    model.get_layer("trunk").trainable = False
    known = model.strategy
    before = toy.weights(model), toy.arrays(model.optimizer.variables)
    with pytest.raises(ValueError, match="averages 6 weights .* has 4"):
        toy.fit(model, epochs=1, strategy="pcgrad")
    # Keras says so at the end.
    toy.assert_same(toy.weights(model), before[0])
    toy.assert_same(toy.arrays(model.optimizer.variables), before[1])
    assert model.strategy is known
    toy.compiled(model, "mgda", averaged())
    toy.fit(model, epochs=1)


def test_averages_are_those_of_keras():
    ends = []
    for cls in (keras.Model, keras_mtl.MultiTaskModel):
        model = toy.make_model(cls)
        toy.compiled(model, "ew", averaged())
        toy.fit(model, epochs=1)
        ends.append(toy.weights(model))
    toy.assert_near(ends[1], ends[0], atol=1e-6)
