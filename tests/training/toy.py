"""Small models, data and comparisons for tests of the training step."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl

BACKEND = keras.backend.backend()
STRATEGIES = ("ew", "db_mtl", "fs_mtl")
NUM_SAMPLES = 24


def losses():
    """The losses of the toy model; fresh objects for each."""
    return {"left": "mse", "right": "sparse_categorical_crossentropy"}


def data(num_samples=NUM_SAMPLES, seed=0):
    """Returns inputs `[n, 6]` and labels of a regression and three classes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_samples, 6)).astype("float32")
    left = (x[:, :1] - x[:, 1:2] + 0.1 * rng.normal(size=(num_samples, 1))) * 2
    right = np.argmax(x[:, 2:5], axis=-1)
    return x, {"left": left.astype("float32"), "right": right.astype("int32")}


def make_model(
    cls=keras_mtl.MultiTaskModel,
    dropout=0.0,
    dropout_seed=None,
    batch_norm=False,
    regularizer=None,
    as_list=False,
    seed=3,
    **kwargs,
):
    """Returns a Functional model with tasks `left` and `right`."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,), name="x")
    hidden = keras.layers.Dense(8, kernel_regularizer=regularizer, name="trunk")
    features = hidden(inputs)
    if batch_norm:
        features = keras.layers.BatchNormalization(name="bn")(features)
    features = keras.layers.Activation("tanh")(features)
    if dropout:
        drop = keras.layers.Dropout(dropout, seed=dropout_seed, name="drop")
        features = drop(features)
    left = keras.layers.Dense(1, name="left")(features)
    right = keras.layers.Dense(3, activation="softmax", name="right")(features)
    outputs = [left, right] if as_list else {"left": left, "right": right}
    return cls(inputs, outputs, **kwargs)


class WeightPenalty(keras.layers.Layer):
    """Adds a loss of its own weight and lets its input through."""

    def __init__(self, factor=1.0, input_factor=0.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.input_factor = input_factor

    def build(self, input_shape):
        self.w = self.add_weight(shape=(7,), initializer="ones", name="w")

    def call(self, inputs):
        self.add_loss(
            self.factor * ops.sum(ops.square(self.w))
            + self.input_factor * ops.mean(ops.square(inputs))
        )
        return inputs


def compiled(model, strategy=None, optimizer=None, **kwargs):
    """Compiles a toy model; a `keras.Model` gets no strategy."""
    kwargs.setdefault("loss", losses())
    if isinstance(model, keras_mtl.MultiTaskModel):
        kwargs["strategy"] = strategy
    if optimizer is None:
        optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer=optimizer, **kwargs)
    return model


def fit(model, x=None, y=None, seed=5, **kwargs):
    """Fits from a fixed seed and returns the history."""
    if x is None:
        x, y = data()
    keras.utils.set_random_seed(seed)
    kwargs.setdefault("batch_size", 8)
    kwargs.setdefault("epochs", 2)
    kwargs.setdefault("verbose", 0)
    kwargs.setdefault("shuffle", False)
    return model.fit(x, y, **kwargs).history


def first_batch(num_samples=8):
    """Returns the first samples of `data()`."""
    x, y = data()
    return x[:num_samples], {k: v[:num_samples] for k, v in y.items()}


def step(model, x=None, y=None, **kwargs):
    """Makes one step on a batch and returns the logs as floats."""
    if x is None:
        x, y = first_batch()
    logs = model.train_on_batch(x, y, return_dict=True, **kwargs)
    return {name: float(value) for name, value in logs.items()}


def trained(strategy=None, model=None, fit_kwargs=None, **kwargs):
    """Compiles a toy model, fits it and returns it."""
    model = make_model() if model is None else model
    compiled(model, strategy, **kwargs)
    fit(model, **(fit_kwargs or {}))
    return model


def fresh_strategy(name, rho=0.05):
    """Returns a new strategy by its name in `STRATEGIES`."""
    if name == "fs_mtl":
        return fs_mtl(rho=rho)
    return keras_mtl.strategies.get(name)


def fs_mtl(**kwargs):
    """FS-MTL with the aggregator that compiles fastest."""
    return keras_mtl.strategies.FSMTL(
        keras_mtl.aggregators.PCGrad(seed=0), **kwargs
    )


def every_pass():
    """A strategy that makes all passes of FS-MTL and gives plain gradients."""
    return keras_mtl.Strategy(
        flatness=keras_mtl.flatness.TaskSAM(rho=0.0), aggregator="sum"
    )


def arrays(variables):
    """Returns copies of the values of variables."""
    return [
        np.array(ops.convert_to_numpy(ops.convert_to_tensor(variable)))
        for variable in variables
    ]


def weights(model):
    """Returns weights by the order of the model's variables."""
    return arrays(model.weights)


def snapshot(model):
    """Returns everything that a step may change, by what it is."""
    state = {"weights": arrays(model.weights)}
    if getattr(model, "optimizer", None) is not None:
        state["optimizer"] = arrays(model.optimizer.variables)
    if getattr(model, "strategy", None) is not None:
        state["strategy"] = arrays(model.strategy.variables)
    return state


def assert_same(left, right):
    """Asserts that two lists of arrays, or two snapshots, are equal bitwise."""
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_same(left[key], right[key])
        return
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


def assert_near(left, right, atol=1e-6, rtol=0.0):
    """Asserts that two lists of arrays are equal up to a tolerance."""
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, atol=atol, rtol=rtol)


def distance(left, right):
    """Returns the largest difference between two lists of arrays."""
    return max(
        float(np.max(np.abs(np.asarray(a, "float64") - b)))
        for a, b in zip(left, right, strict=True)
        if np.size(a)
    )


def copy_weights(source, target):
    """Sets the weights of a model to those of another, by path."""
    paths = [variable.path for variable in source.weights]
    values = dict(zip(paths, arrays(source.weights), strict=True))
    for variable in target.weights:
        variable.assign(values[variable.path])


def assert_near_run(reference, model, history, atol=1e-6):
    """Asserts that a run is the one of which these are the results."""
    values, expected = reference
    assert_near(weights(model), values, atol=atol)
    assert list(history) == list(expected)
    for name, by_epoch in expected.items():
        assert history[name] == pytest.approx(by_epoch, rel=1e-5), name
