"""Gramians that are taken row by row."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import flatness
from training import toy

#: What looks at inner products only.
GRAMIAN_METHODS = [
    name
    for name in aggregators.REGISTRY.names()
    if isinstance(aggregators.get(name), aggregators.GramianAggregator)
    and not aggregators.get(name).linear
]


def tree():
    """Three tasks, of which two share a branch, with two kinds of layers."""
    keras.utils.set_random_seed(3)
    dense = keras.layers.Dense
    inputs = keras.Input((6,), name="x")
    trunk = dense(8, "tanh", kernel_regularizer="l2", name="trunk")(inputs)
    trunk = keras.layers.BatchNormalization(name="bn")(trunk)
    branch = dense(5, "tanh", name="branch")(trunk)
    return keras_mtl.MultiTaskModel(
        inputs,
        {
            "left": dense(1, name="left")(branch),
            "right": dense(3, "softmax", name="right")(branch),
            "third": dense(1, name="third")(trunk),
        },
    )


def labelled():
    x, y = toy.data()
    return x, {**y, "third": -y["left"] + 0.3 * x[:, 5:]}


def fitted(memory, name, **kwargs):
    model = tree()
    strategy = keras_mtl.Strategy(aggregator=name, memory=memory, **kwargs)
    loss = {**toy.losses(), "third": "mse"}
    toy.compiled(model, strategy, loss=loss)
    toy.fit(model, *labelled(), epochs=1)
    return model


#: Where each takes long to compile, those that differ in kind.
QUICK = ("cagrad", "gradvac", "mgda", "nash_mtl", "upgrad")


@pytest.mark.parametrize(
    "name",
    [
        name
        if toy.BACKEND == "torch" or name in QUICK
        else pytest.param(name, marks=pytest.mark.slow)
        for name in GRAMIAN_METHODS
    ],
)
def test_same_update(name):
    keras.utils.set_random_seed(0)
    normal = fitted("normal", name)
    keras.utils.set_random_seed(0)
    low = fitted("low", name)
    toy.assert_near(toy.weights(low), toy.weights(normal), atol=1e-5)
    toy.assert_near(
        toy.arrays(low.strategy.variables),
        toy.arrays(normal.strategy.variables),
        atol=1e-4,
        rtol=1e-4,
    )


def test_weighted_and_missing_tasks():
    x, y = labelled()
    y["third"] = np.full_like(y["third"], np.nan)
    y["left"][:5] = np.nan
    models = []
    for memory in ("normal", "low"):
        strategy = keras_mtl.Strategy("log", aggregator="mgda", memory=memory)
        loss = {**toy.losses(), "third": "mse"}
        model = toy.compiled(
            tree(), strategy, loss=loss, loss_weights={"right": 0.3}
        )
        toy.step(model, x, y)
        models.append(model)
    toy.assert_near(*map(toy.weights, models), atol=1e-5)


def test_linear_methods_keep_nothing_anyway():
    models = [fitted(memory, "sum") for memory in ("normal", "low")]
    toy.assert_same(*map(toy.weights, models))


def test_a_gradient_that_is_not_finite_is_the_tasks():
    model = tree()
    strategy = keras_mtl.Strategy(aggregator="mgda", memory="low")
    toy.compiled(model, strategy, loss={**toy.losses(), "third": "mse"})
    x, y = labelled()
    before = toy.weights(model)
    y["third"][0] = np.inf
    with pytest.raises(keras_mtl.NonFiniteError, match="'third'"):
        toy.step(model, x, y)
    toy.assert_same(toy.weights(model), before)


def test_monitor_sees_the_same():
    seen = []
    for memory in ("normal", "low"):
        model = toy.make_model()
        toy.compiled(
            model, keras_mtl.Strategy(None, None, "mgda", memory=memory)
        )
        monitor = keras_mtl.callbacks.TaskMonitor()
        seen.append(toy.fit(model, epochs=1, callbacks=[monitor]))
    assert seen[0].keys() == seen[1].keys()
    for name, values in seen[0].items():
        assert seen[1][name] == pytest.approx(values, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    models = []
    for used, memory in (("float32", "normal"), (policy, "low")):
        keras.config.set_dtype_policy(used)
        optimizer = keras.optimizers.SGD(0.1)
        if used == "mixed_float16":
            # A scale with which nothing overflows.
            optimizer = keras.optimizers.LossScaleOptimizer(
                optimizer, initial_scale=64.0
            )
        strategy = keras_mtl.Strategy(aggregator="upgrad", memory=memory)
        model = toy.make_model()
        toy.step(toy.compiled(model, strategy, optimizer))
        models.append(model)
    toy.assert_near(*map(toy.weights, models), atol=0.01)


def test_a_task_that_shares_nothing():
    models = []
    for memory in ("normal", "low"):
        keras.utils.set_random_seed(3)
        inputs = keras.Input((6,), name="x")
        trunk = keras.layers.Dense(4, "tanh")(inputs)
        outputs = {
            "left": keras.layers.Dense(1, name="left")(trunk),
            "right": keras.layers.Dense(3, "softmax", name="right")(trunk),
            "third": keras.layers.Dense(1, name="third")(inputs),
        }
        model = keras_mtl.MultiTaskModel(inputs, outputs)
        strategy = keras_mtl.Strategy(aggregator="upgrad", memory=memory)
        toy.compiled(model, strategy, loss={**toy.losses(), "third": "mse"})
        toy.step(model, *labelled())
        models.append(model)
    toy.assert_near(*map(toy.weights, models), atol=1e-6)


def test_config():
    strategy = keras_mtl.Strategy(aggregator="mgda", memory="low")
    again = keras_mtl.Strategy.from_config(strategy.get_config())
    assert again.memory == "low"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"aggregator": "grad_drop"}, "GradDrop looks at more than"),
        ({"aggregator": "db_mtl"}, "DBMTL looks at more than"),
        (
            {"aggregator": "mgda", "flatness": flatness.TaskSAM()},
            "TaskSAM needs the gradients of each task",
        ),
        ({"aggregator": "mgda", "granularity": "layer"}, "Gramian per group"),
        (
            {"aggregator": "mgda", "gradients": "representation"},
            "keeps none of the weights",
        ),
    ],
)
def test_refused(arguments, what):
    with pytest.raises(ValueError, match=f'cannot be "low": .*{what}'):
        keras_mtl.Strategy(**arguments, memory="low")


def test_bad_choice():
    with pytest.raises(ValueError, match="`memory` must be one of"):
        keras_mtl.Strategy(memory="tiny")


@pytest.mark.slow_on("jax", "tensorflow")
def test_attention():
    def fitted_words(memory):
        keras.utils.set_random_seed(3)
        words = keras.Input((6, 4))
        seen = keras.layers.MultiHeadAttention(2, 3)(words, words)
        seen = keras.layers.GlobalAveragePooling1D()(seen)
        model = keras_mtl.MultiTaskModel(
            words,
            {
                "left": keras.layers.Dense(1)(seen),
                "right": keras.layers.Dense(3, activation="softmax")(seen),
            },
        )
        toy.compiled(
            model, keras_mtl.Strategy(aggregator="mgda", memory=memory)
        )
        generator = np.random.default_rng(0)
        words = generator.normal(size=(toy.NUM_SAMPLES, 6, 4))
        toy.step(model, words.astype("float32"), toy.data()[1])
        return toy.weights(model)

    toy.assert_near(fitted_words("low"), fitted_words("normal"))


@ops.custom_gradient
def reverse(x):
    def gradient(*args, upstream=None):
        return -2 * (args[0] if upstream is None else upstream)

    return ops.copy(x), gradient


class Reversal(keras.layers.Layer):
    def call(self, inputs):
        return reverse(inputs)


def test_gradients_of_ones_own_are_taken_twice():
    def kernel(memory):
        keras.utils.set_random_seed(3)
        inputs = keras.Input((6,))
        hidden = keras.layers.Dense(4, "tanh", name="trunk")(inputs)
        outputs = {
            "left": keras.layers.Dense(1)(hidden),
            "right": keras.layers.Dense(1)(Reversal()(hidden)),
        }
        model = keras_mtl.MultiTaskModel(inputs, outputs)
        strategy = keras_mtl.Strategy(aggregator="mgda", memory=memory)
        toy.compiled(model, strategy, loss="mse")
        x, y = toy.first_batch()
        toy.step(model, x, {"left": y["left"], "right": y["left"] ** 2})
        return ops.convert_to_numpy(model.get_layer("trunk").kernel)

    np.testing.assert_allclose(kernel("low"), kernel("normal"), atol=1e-6)
