"""A temperature that a callback sets takes effect in the compiled steps."""

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl.callbacks import TemperatureSchedule
from keras_mtl.layers import LearningToBranch

HOT = 1e6
COLD = 1e-6
#: What two candidate blocks, which are constants, put out.
OUTPUTS = (1.0, 4.0)


def constant(value):
    return keras.layers.Dense(
        1,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(value),
    )


def make_model(strategy=None):
    """A model whose loss tells how the two blocks are mixed.

    Labels are 0, nothing is trained: the loss is the square of the mixture.
    """
    inputs = keras.Input((1,))
    layer = LearningToBranch(
        ["a", "b"], [[constant(value) for value in OUTPUTS]], seed=0
    )
    features = layer(inputs)
    identity = keras.layers.Identity
    outputs = {task: identity(name=task)(features[task]) for task in "ab"}
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    model.compile(
        keras.optimizers.SGD(0.0), {"a": "mse", "b": "mse"}, strategy=strategy
    )
    return model, layer


def fit(model, epochs=1, **arguments):
    x = np.zeros((6, 1), "float32")
    return model.fit(
        x,
        {"a": x, "b": x},
        epochs=epochs,
        batch_size=2,
        shuffle=False,
        verbose=0,
        **arguments,
    ).history


def losses_of_batches(model, **arguments):
    """Returns the loss of task a in each batch."""
    means = []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: means.append(
            float(logs["a_loss"])
        )
    )
    callbacks = [*arguments.pop("callbacks"), record]
    fit(model, callbacks=callbacks, **arguments)
    # The logs have means over the batches so far.
    totals = np.array(means) * np.arange(1, len(means) + 1)
    return np.diff(totals, prepend=0.0)


MIXED = np.mean(OUTPUTS) ** 2
PICKED = np.square(OUTPUTS)


def is_picked(loss):
    return np.min(np.abs(loss - PICKED)) < 1e-3


@pytest.mark.parametrize("strategy", [None, "ew", "upgrad"])
def test_takes_effect_in_the_next_epoch(strategy):
    model, layer = make_model(strategy)
    temperatures = [HOT, COLD, HOT]
    history = fit(
        model,
        epochs=3,
        callbacks=[TemperatureSchedule(lambda epoch: temperatures[epoch])],
    )
    losses = history["a_loss"]
    np.testing.assert_allclose([losses[0], losses[2]], MIXED, rtol=1e-3)
    # No mean of three losses of picked blocks comes closer to it.
    assert abs(losses[1] - MIXED) > 0.2
    assert history["temperature"] == temperatures
    np.testing.assert_allclose(float(layer.temperature.value), HOT)


def test_takes_effect_in_the_next_batch():
    model, _ = make_model()
    temperatures = [HOT, COLD, HOT]
    schedule = TemperatureSchedule(temperatures.__getitem__, interval="batch")
    losses = losses_of_batches(model, callbacks=[schedule])
    np.testing.assert_allclose(losses[[0, 2]], MIXED, rtol=1e-3)
    assert is_picked(losses[1])


def test_stays_while_it_is_not_set():
    model, layer = make_model()
    layer.temperature.assign(HOT)
    losses = fit(model, epochs=2)["a_loss"]
    np.testing.assert_allclose(losses, MIXED, rtol=1e-3)


def test_steps_count_on_over_epochs():
    seen = []

    def schedule(step):
        seen.append(step)
        return 1.0

    model, _ = make_model()
    callback = TemperatureSchedule(schedule, interval="batch")
    fit(model, epochs=2, callbacks=[callback])
    fit(model, epochs=1, callbacks=[callback])
    assert seen == [0, 1, 2, 3, 4, 5, 0, 1, 2]


def test_takes_a_learning_rate_schedule():
    model, layer = make_model()
    schedule = keras.optimizers.schedules.PolynomialDecay(5.0, 2, 1.0)
    history = fit(model, epochs=3, callbacks=[TemperatureSchedule(schedule)])
    np.testing.assert_allclose(history["temperature"], [5.0, 3.0, 1.0])
    np.testing.assert_allclose(float(layer.temperature.value), 1.0)


def test_sets_the_layers_that_are_named():
    model, layer = make_model()
    other = LearningToBranch(["a"], [constant(0.0)])
    callback = TemperatureSchedule(lambda epoch: 0.5, layers=[other])
    fit(model, callbacks=[callback])
    assert float(other.temperature.value) == 0.5
    assert float(layer.temperature.value) == 1.0


def test_refuses_a_model_without_a_temperature():
    inputs = keras.Input((1,))
    outputs = {task: keras.layers.Dense(1)(inputs) for task in "ab"}
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    model.compile("sgd", {"a": "mse", "b": "mse"})
    with pytest.raises(ValueError, match="found no temperature to set: the mo"):
        fit(model, callbacks=[TemperatureSchedule(lambda epoch: 1.0)])


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), "warm"])
def test_refuses_temperatures_that_are_not_positive(value):
    model, _ = make_model()
    with pytest.raises(ValueError, match=r"`schedule\(0\)` must be a number"):
        fit(model, callbacks=[TemperatureSchedule(lambda epoch: value)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": 0.5}, "`schedule` must be a function from the number"),
        (
            {"schedule": abs, "interval": "step"},
            "`interval` must be one of",
        ),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TemperatureSchedule(**arguments)
