"""A radius that a callback sets takes effect in the compiled steps."""

import keras
import pytest

import keras_mtl
from keras_mtl.callbacks import RhoScheduler
from tests.training import toy

RADII = [0.0, 0.4, 0.1]


def per_step_radii(**arguments):
    """Fits three steps with `RADII`, one radius for each step."""
    model = toy.compiled(toy.make_model(), toy.fs_mtl(**arguments))
    callback = RhoScheduler(RADII.__getitem__, interval="batch")
    toy.fit(model, epochs=1, callbacks=[callback])
    return model


def test_takes_effect_in_the_next_batch():
    """As if every step had been made by a strategy of its own."""
    model = per_step_radii()
    x, y = toy.data()
    expected = toy.make_model()
    for step, rho in enumerate(RADII):
        # Compiled anew, so that nothing but the weights is carried over.
        toy.compiled(expected, toy.fs_mtl(rho=rho))
        part = slice(8 * step, 8 * step + 8)
        batch = {task: labels[part] for task, labels in y.items()}
        toy.step(expected, x[part], batch)
    # Float32, in a program compiled otherwise.
    toy.assert_near(toy.weights(model), toy.weights(expected), atol=1e-6)
    # The radii matter a hundred times as much.
    plain = toy.trained(toy.fs_mtl(rho=0.0), fit_kwargs={"epochs": 1})
    assert toy.distance(toy.weights(model), toy.weights(plain)) > 1e-4


def test_takes_effect_in_the_next_epoch_and_is_in_the_logs():
    model = toy.compiled(toy.make_model(), toy.fs_mtl(rho=0.3))
    history = toy.fit(
        model, epochs=2, callbacks=[RhoScheduler([0.0, 0.2].__getitem__)]
    )
    assert history["rho"] == [0.0, 0.2]
    assert model.strategy.flatness.rho == 0.2
    expected = toy.trained(toy.fs_mtl(rho=0.0), fit_kwargs={"epochs": 1})
    expected.strategy.flatness.rho = 0.2
    toy.fit(expected, epochs=1)
    toy.assert_near(toy.weights(model), toy.weights(expected), atol=1e-6)


def test_sets_the_radius_of_the_heads():
    strategy = toy.fs_mtl(rho=0.1, head_rho=0.1)
    model = toy.compiled(toy.make_model(), strategy)
    schedule = keras.optimizers.schedules.PolynomialDecay(0.5, 2, 0.25)
    callback = RhoScheduler(schedule, argument="head_rho")
    history = toy.fit(model, epochs=1, callbacks=[callback])
    assert history["head_rho"] == [0.5]
    flatness = model.strategy.flatness
    assert (flatness.rho, flatness.head_rho) == (0.1, 0.5)


@pytest.mark.parametrize("strategy", [None, "db_mtl"])
def test_refuses_a_strategy_without_a_flatness_regularizer(strategy):
    model = toy.compiled(toy.make_model(), strategy)
    with pytest.raises(ValueError, match="found no flatness regularizer"):
        toy.fit(model, callbacks=[RhoScheduler(lambda epoch: 0.1)])


@pytest.mark.parametrize(
    ("flatness", "argument", "value", "message"),
    [
        ({"rho": 0.1}, "head_rho", 0.1, "`head_rho` can be assigned only"),
        ({"rho": 0.1}, "rho", -0.1, r"`schedule\(0\)` must be a number in"),
        (
            {"rho": keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)},
            "rho",
            0.1,
            "cannot change between a number and a schedule",
        ),
    ],
)
def test_refuses_what_cannot_be_set(flatness, argument, value, message):
    model = toy.compiled(toy.make_model(), toy.fs_mtl(**flatness))
    callback = RhoScheduler(lambda epoch: value, argument=argument)
    with pytest.raises(ValueError, match=message):
        toy.fit(model, callbacks=[callback])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": 0.5}, "`schedule` must be a function from the number"),
        ({"schedule": abs, "interval": "step"}, "`interval` must be one of"),
        ({"schedule": abs, "argument": "mu"}, "`argument` must be one of"),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_mtl.callbacks.RhoScheduler(**arguments)
