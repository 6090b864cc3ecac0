"""Steps with losses or gradients that are not finite."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from training import toy

#: A label at which the loss below is finite and its gradient is not.
KINK = 100.0


@keras.saving.register_keras_serializable("tests")
def kinked(y_true, y_pred):
    """Proportional to `|y_pred|`; by a square root, with its gradient at 0."""
    root = ops.sqrt(ops.square(y_pred * (y_true - KINK)))
    return ops.mean(root, axis=-1) / KINK


def losses():
    return {"left": kinked, "right": "sparse_categorical_crossentropy"}


def make_model():
    return toy.make_model(batch_norm=True, dropout=0.3, dropout_seed=4)


def everything(model):
    """All that a step may change, seeds and the strategy's state included."""
    return {
        **toy.snapshot(model),
        "state": toy.arrays(model.network_variables(False)),
    }


def poisoned(kind, x, y):
    """Returns a batch, one sample of which breaks the step."""
    x, left = x.copy(), y["left"].copy()
    if kind == "input_nan":
        x[2, 0] = np.nan
    elif kind == "input_inf":
        x[2, 0] = np.inf
    elif kind == "loss":
        left[2] = np.inf
    elif kind == "gradient":
        left[2] = KINK
    return x, {**y, "left": left}


POISONS = {
    "input_nan": "task 'left', 'right'",
    "input_inf": "task 'left', 'right'",
    "loss": "task 'left' ",
    "gradient": "task 'left' ",
}


def momentum():
    return keras.optimizers.SGD(0.05, momentum=0.9)


@pytest.mark.parametrize("name", [*toy.STRATEGIES, "pcgrad"])
def test_a_bad_batch_changes_nothing_and_raises(name):
    model = make_model()
    toy.compiled(model, toy.fresh_strategy(name), momentum(), loss=losses())
    x, y = toy.first_batch()
    toy.step(model, x, y)
    for number, (kind, names) in enumerate(POISONS.items()):
        before = everything(model)
        with pytest.raises(keras_mtl.NonFiniteError, match=names) as error:
            toy.step(model, *poisoned(kind, x, y))
        assert f"step {number + 2} " in str(error.value)
        toy.assert_same(everything(model), before)
    before = toy.weights(model)
    logs = toy.step(model, x, y)
    assert all(np.isfinite(value) for value in logs.values())
    assert toy.distance(before, toy.weights(model)) > 1e-4


def test_an_infinite_regularizer_is_of_no_task():
    model = toy.make_model(regularizer=keras.regularizers.L2(1e38))
    toy.compiled(model, "ew")
    model.get_layer("trunk").kernel.assign(np.full((6, 8), 1e3))
    before = everything(model)
    match = "The update was not finite at training step 1 .*a regularizer"
    with pytest.raises(keras_mtl.NonFiniteError, match=match):
        toy.step(model)
    toy.assert_same(everything(model), before)


def limited(limit):
    """A mean squared error that is infinite above a limit."""

    def loss(y_true, y_pred):
        error = ops.mean(ops.square(y_true - y_pred))
        return error + ops.where(error > limit, float("inf"), 0.0)

    return loss


def test_only_the_perturbed_pass_is_infinite():
    x, y = toy.first_batch()
    model = toy.make_model()
    prediction = model.predict(x, verbose=0)["left"]
    limit = float(np.mean(np.square(prediction - y["left"]))) + 1e-3
    loss = {**toy.losses(), "left": limited(limit)}
    for rho, fails in ((1e-6, False), (0.5, True)):
        model = toy.make_model()
        toy.compiled(model, toy.fresh_strategy("fs_mtl", rho), loss=loss)
        before = everything(model)
        if not fails:
            toy.step(model, x, y)
            continue
        with pytest.raises(keras_mtl.NonFiniteError, match="task 'left' "):
            toy.step(model, x, y)
        toy.assert_same(everything(model), before)


def epoch(second):
    """Three batches, the second of which is as given."""
    x, y = toy.data()
    part = slice(8, 16)
    bad_x, bad_y = poisoned(second, x[part], {k: v[part] for k, v in y.items()})
    x[part] = bad_x
    y["left"][part] = bad_y["left"]
    return x, y


@pytest.fixture(scope="module")
def without_second_batch():
    model = make_model()
    toy.compiled(model, toy.fresh_strategy("fs_mtl"), momentum(), loss=losses())
    x, y = toy.data()
    keep = np.r_[0:8, 16:24]
    toy.fit(model, x[keep], {k: v[keep] for k, v in y.items()}, epochs=1)
    return everything(model)


def test_fit_raises_at_the_end_of_the_epoch(without_second_batch):
    model = make_model()
    toy.compiled(model, toy.fresh_strategy("fs_mtl"), momentum(), loss=losses())
    ends = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(epoch)
    )
    with pytest.raises(keras_mtl.NonFiniteError, match="'left' .*step 2 "):
        toy.fit(model, *epoch("loss"), epochs=3, callbacks=[callback])
    assert ends == [0]
    toy.assert_same(everything(model), without_second_batch)
    # The failure is forgotten.
    toy.fit(model, epochs=1)
    assert np.all(np.isfinite(model.predict(toy.data()[0], verbose=0)["left"]))


class Interrupt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["fit", "train_on_batch"])
def test_what_was_interrupted_is_not_told_later(how):
    model = toy.compiled(make_model(), "ew", loss=losses())
    x, y = toy.data()
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            *poisoned("input_nan", x, y), verbose=0, callbacks=[Interrupt()]
        )
    model.evaluate(x, y, verbose=0)
    if how == "fit":
        model.fit(x, y, verbose=0)
    else:
        model.train_on_batch(x, y)
    # Notes that are forgotten are not in the way of the next ones.
    bad = poisoned("loss", x, y)
    with pytest.raises(keras_mtl.NonFiniteError, match="task 'left' was"):
        model.train_on_batch(*bad)


@pytest.mark.parametrize("told", ["compile", "strategy"])
def test_skip_leaves_the_step_out(told, without_second_batch, caplog):
    model = make_model()
    settings, strategy = {}, toy.fresh_strategy("fs_mtl")
    if told == "compile":
        settings["on_nonfinite"] = "skip"
    else:
        strategy = toy.fs_mtl(on_nonfinite="skip")
    toy.compiled(model, strategy, momentum(), loss=losses(), **settings)
    toy.fit(model, *epoch("gradient"), epochs=1)
    toy.assert_same(everything(model), without_second_batch)
    (message,) = caplog.messages
    assert message.startswith("Training left out 1 step(s). ")
    assert "task 'left' was not finite at training step 2 " in message
    caplog.clear()
    toy.fit(model, epochs=1)
    assert not caplog.messages


@pytest.mark.parametrize("told", ["compile", "strategy"])
def test_ignore_lets_nan_through(told):
    model = make_model()
    settings, strategy = {}, keras_mtl.Strategy(on_nonfinite="ignore")
    if told == "compile":
        settings["on_nonfinite"] = "ignore"
        strategy = "ew"
    toy.compiled(model, strategy, momentum(), loss=losses(), **settings)
    toy.fit(model, *epoch("input_nan"), epochs=1)
    assert np.any(np.isnan(toy.weights(model)[0]))


def test_the_strategys_policy_goes_before_that_of_compile():
    model = make_model()
    strategy = keras_mtl.Strategy(on_nonfinite="raise")
    toy.compiled(model, strategy, loss=losses(), on_nonfinite="ignore")
    before = everything(model)
    x, y = toy.first_batch()
    with pytest.raises(keras_mtl.NonFiniteError):
        toy.step(model, *poisoned("loss", x, y))
    toy.assert_same(everything(model), before)


def hiding_model(optimizer, strategy):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation="relu")(inputs)
    left = keras.layers.Dense(1, name="left")(hidden)
    right = keras.layers.Dense(3, activation="softmax", name="right")(hidden)
    model = keras_mtl.MultiTaskModel(inputs, {"left": left, "right": right})
    return toy.compiled(model, strategy, optimizer, jit_compile=False)


@pytest.mark.skipif(toy.BACKEND != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("name", toy.STRATEGIES)
def test_nan_that_a_fused_relu_hides_changes_nothing(name):
    # TensorFlow's graphs without XLA fuse a dense layer with its ReLU, in a
    # kernel that makes 0 of NaN: the losses are finite, the gradients are not.
    x, y = toy.first_batch()
    bad_x, bad_y = poisoned("input_nan", x, y)
    model = hiding_model(momentum(), toy.fresh_strategy(name))
    toy.step(model, x, y)
    before = everything(model)
    with pytest.raises(keras_mtl.NonFiniteError, match="training step 2 "):
        toy.step(model, bad_x, bad_y)
    toy.assert_same(everything(model), before)

    optimizer = keras.optimizers.LossScaleOptimizer(momentum())
    model = hiding_model(optimizer, toy.fresh_strategy(name))
    toy.step(model, x, y)
    before = everything(model)
    scale = float(toy.arrays([optimizer.dynamic_scale])[0])
    logs = toy.step(model, bad_x, bad_y)
    assert all(np.isfinite(value) for value in logs.values())
    after = everything(model)
    names = [variable.name for variable in optimizer.variables]
    assert after["optimizer"][names.index("dynamic_scale")] == scale / 2
    for changed in ("dynamic_scale", "step_counter"):
        number = names.index(changed)
        before["optimizer"][number] = after["optimizer"][number]
    toy.assert_same(after, before)


@pytest.mark.skipif(toy.BACKEND != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("name", toy.STRATEGIES)
def test_nan_that_a_frozen_fused_relu_hides_is_a_zero(name):
    # It has no gradients that would tell; what trains sees a number.
    x, y = toy.first_batch()
    bad_x, bad_y = poisoned("input_nan", x, y)
    model = hiding_model(momentum(), toy.fresh_strategy(name))
    model.network.layers[1].trainable = False
    toy.step(model, x, y)
    logs = toy.step(model, bad_x, bad_y)
    assert all(np.isfinite(value) for value in logs.values())
    assert all(
        np.isfinite(array).all() for array in everything(model)["weights"]
    )


def test_steps_are_counted_in_integers():
    # As floats they would stop at 2^24.
    model = toy.compiled(toy.make_model(), "ew")
    toy.step(model)
    counters = model.training_plan.monitor.variables
    assert {counter.dtype for counter in counters} == {"int32"}
    assert int(toy.arrays(counters)[0]) == 1
