"""What changes in mid-training is used by the compiled step."""

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl import balancers
from training import toy


class AtEpochOne(keras.callbacks.Callback):
    """Calls a function when the second epoch begins."""

    def __init__(self, change):
        super().__init__()
        self.change = change
        self.before = None

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            self.before = toy.weights(self.model)
            self.change(self.model)


def strategy(rho=0.05, head_rho=0.05):
    return toy.fs_mtl(rho=rho, head_rho=head_rho)


def set_rho(model):
    model.strategy.flatness.rho = 2.0


def set_head_rho(model):
    model.strategy.flatness.head_rho = 2.0


def freeze(model):
    model.get_layer("left").trainable = False


def freeze_trunk(model):
    model.get_layer("trunk").trainable = False


def set_learning_rate(model):
    model.optimizer.learning_rate = 0.01


CHANGES = {
    "rho": (set_rho, {"rho": 2.0}, 0.1),
    "head_rho": (set_head_rho, {"head_rho": 2.0}, 0.1),
    "learning_rate": (set_learning_rate, {}, 0.01),
    "trainable_head": (freeze, {}, 0.1),
    "trainable_trunk": (freeze_trunk, {}, 0.1),
}


@pytest.fixture(scope="module")
def unchanged():
    """Weights after two epochs without a change."""
    model = toy.compiled(toy.make_model(), strategy())
    toy.fit(model)
    return toy.weights(model)


@pytest.mark.parametrize("name", CHANGES)
def test_a_callback_takes_effect(name, unchanged):
    change, radii, learning_rate = CHANGES[name]
    model = toy.compiled(toy.make_model(), strategy())
    callback = AtEpochOne(change)
    toy.fit(model, callbacks=[callback])
    weights = toy.weights(model)
    assert toy.distance(weights, unchanged) > 1e-3
    # As if it had been so from the start.
    other = toy.make_model()
    for variable, value in zip(other.weights, callback.before, strict=True):
        variable.assign(value)
    if name.startswith("trainable"):
        change(other)
    optimizer = keras.optimizers.SGD(learning_rate)
    toy.compiled(other, strategy(**radii), optimizer)
    toy.fit(other, epochs=1)
    toy.assert_near(weights, toy.weights(other))


def test_a_layer_cannot_thaw_without_another_compile():
    model = toy.make_model()
    left = model.get_layer("left")
    left.trainable = False
    toy.compiled(model, strategy())
    before = toy.arrays(left.variables)

    def thaw(model):
        left.trainable = True

    # The optimizer was not built for it.
    with pytest.raises(ValueError, match="left/kernel.*Call `compile` again"):
        toy.fit(model, callbacks=[AtEpochOne(thaw)])
    toy.assert_same(toy.arrays(left.variables), before)
    toy.compiled(model, strategy())
    toy.fit(model, epochs=1)
    assert toy.distance(toy.arrays(left.variables), before) > 1e-2


@pytest.mark.parametrize("argument", ["rho", "head_rho"])
def test_a_schedule_is_a_radius_for_each_step(argument):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 4.0)
    scheduled = toy.compiled(toy.make_model(), strategy(**{argument: schedule}))
    toy.fit(scheduled, epochs=1)
    by_hand = toy.compiled(toy.make_model(), strategy())
    x, y = toy.data()
    for step in range(3):
        setattr(by_hand.strategy.flatness, argument, 0.1 * 4.0**step)
        part = slice(8 * step, 8 * step + 8)
        toy.step(by_hand, x[part], {k: v[part] for k, v in y.items()})
    toy.assert_near(toy.weights(scheduled), toy.weights(by_hand))


def test_another_strategy_in_fit_keeps_the_optimizer():
    model = toy.make_model()
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    toy.compiled(model, "ew", optimizer)
    toy.fit(model, epochs=1)
    momenta = toy.arrays(model.optimizer.variables)
    other = toy.make_model()
    toy.compiled(other, strategy(), keras.optimizers.SGD(0.05, momentum=0.9))
    toy.copy_weights(model, other)
    for variable, value in zip(other.optimizer.variables, momenta, strict=True):
        variable.assign(value)
    new = strategy()
    toy.fit(model, strategy=new, epochs=1)
    assert model.strategy is new and model.optimizer is optimizer
    toy.fit(other, epochs=1)
    toy.assert_near(toy.weights(model), toy.weights(other))
    # A name for what is in use keeps it.
    toy.fit(model, strategy=None, epochs=1)
    assert model.strategy is new
    assert int(np.sum(toy.arrays([model.strategy.iterations]))) == 6


@pytest.mark.parametrize("as_vector", [False, True])
def test_a_variable_among_fixed_weights(as_vector, tmp_path):
    weight = keras.Variable([0.0, 1.0] if as_vector else 1.0)
    weights = weight if as_vector else [0.0, weight]
    model = toy.compiled(toy.make_model(), balancers.Fixed(weights))
    right = model.task_variables["right"][0]
    before = toy.arrays([right])[0]
    toy.step(model)
    after = toy.arrays([right])[0]
    assert np.abs(after - before).max() > 1e-3
    weight.assign(0.0 * weight.value)
    toy.step(model)
    toy.assert_same(toy.arrays([right]), [after])
    # It is not the model's, and a file has its value as a number.
    assert all(variable is not weight for variable in model.weights)
    weight.assign(1.0 + weight.value)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.strategy.balancer.task_weights[1] == 1.0
    toy.step(loaded)
    # Another model reads the same variable.
    other = toy.compiled(toy.make_model(), model.strategy)
    weight.assign(0.0 * weight.value)
    before = toy.arrays(other.task_variables["right"])
    toy.step(other)
    toy.assert_same(toy.arrays(other.task_variables["right"]), before)
    # A negative weight would make the loss rise.
    weight.assign(weight.value - 1.0)
    with pytest.raises(keras_mtl.NonFiniteError):
        toy.step(model)
