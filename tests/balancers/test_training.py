"""Balancers with state inside the training step."""

import keras
import numpy as np
import pytest

from keras_mtl import NonFiniteError
from keras_mtl import balancers
from keras_mtl import flatness
from keras_mtl.strategies import Strategy
from tests.backend_tools import numpy
from tests.training import toy


def test_epochs_told_and_counted_are_the_same():
    models = []
    for steps_per_epoch in (None, 3):
        balancer = balancers.DWA(0.05, steps_per_epoch=steps_per_epoch)
        models.append(toy.trained(balancer, fit_kwargs={"epochs": 4}))
    toy.assert_near(toy.weights(models[0]), toy.weights(models[1]))
    told, counted = (model.strategy.balancer for model in models)
    for name in ("older", "newer"):
        np.testing.assert_allclose(
            numpy(getattr(told, name).value),
            numpy(getattr(counted, name).value),
            rtol=1e-5,
        )
    equal = toy.trained("equal", fit_kwargs={"epochs": 4})
    assert toy.distance(toy.weights(models[0]), toy.weights(equal)) > 1e-3


@pytest.mark.parametrize("sharp", [False, True])
def test_learned_numbers_move_once_in_a_step(sharp):
    strategy = Strategy(
        balancers.UW(learning_rate=0.1),
        flatness.TaskSAM(rho=0.05) if sharp else None,
    )
    model = toy.trained(strategy)
    balancer = model.strategy.balancer
    np.testing.assert_array_equal(numpy(balancer.state[-1].value), [6.0, 6.0])
    assert np.all(numpy(balancer.values.value) != 0)
    # They are no weights of the model.
    assert not any("uw" in variable.path for variable in model.weights)


def test_famo_learns_from_every_step():
    balancer = toy.trained("famo").strategy.balancer
    np.testing.assert_array_equal(numpy(balancer.state[-1].value), [6.0, 6.0])
    logits = numpy(balancer.logits.value)
    # Two tasks: what one gains the other loses.
    np.testing.assert_allclose(logits[0], -logits[1], atol=1e-4)
    assert abs(logits[0]) > 1e-3


@pytest.mark.parametrize("strategy", ["db_mtl", "gls", "famo", "moco"])
def test_a_negative_loss_stops_training(strategy):
    x, y = toy.data()
    right = np.eye(3, dtype="float32")[y["right"]]
    model = toy.make_model()
    # At most 0, and the smaller the better.
    losses = {"left": "mse", "right": keras.losses.CosineSimilarity()}
    toy.compiled(model, toy.fresh_strategy(strategy), loss=losses)
    before = toy.weights(model)
    with pytest.raises(NonFiniteError, match="task .*'right'.*negative"):
        model.train_on_batch(x, {**y, "right": right})
    toy.assert_same(toy.weights(model), before)
