"""Derivatives by inputs, against closed forms."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl import backend
from keras_mtl import derivative

X = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
A, B = X[:, 0], X[:, 1]


def cubic(x):
    return x[:, :1] ** 3 * x[:, 1:] + x[:, 1:] ** 2


def several(x):
    return ops.stack([x[:, 0] ** 2 * x[:, 1], x[:, 1] ** 3, x[:, 0]], axis=-1)


JACOBIAN = np.stack(
    [
        np.stack([2 * A * B, A**2], axis=-1),
        np.stack([0 * A, 3 * B**2], axis=-1),
        np.stack([1 + 0 * A, 0 * A], axis=-1),
    ],
    axis=1,
)

CASES = {
    "gradient": (cubic, X, {}, np.stack([3 * A**2 * B, A**3 + 2 * B], -1)),
    "column": (cubic, X, {"by": 1}, (A**3 + 2 * B)[:, None]),
    "last": (cubic, X, {"by": [-1]}, (A**3 + 2 * B)[:, None]),
    "second": (cubic, X, {"order": 2}, np.stack([6 * A * B, 2 + 0 * A], -1)),
    "third": (cubic, X, {"order": 3}, np.stack([6 * B, 0 * B], -1)),
    "mixed": (
        lambda x: derivative(cubic, x, by=0),
        X,
        {"by": 1},
        (3 * A**2)[:, None],
    ),
    "jacobian": (several, X, {}, JACOBIAN),
    "jacobian_columns": (several, X, {"by": [1]}, JACOBIAN[:, :, 1:]),
    "second_of_several": (
        several,
        X,
        {"order": 2, "by": 0},
        np.stack([2 * B, 0 * A, 0 * A], -1),
    ),
    "of_numbers": (lambda t: t**4, A, {"order": 2}, 12 * A**2),
    "of_pictures": (
        lambda x: ops.sum(x**2, axis=(1, 2)),
        X[:, :, None],
        {},
        2 * X[:, :, None],
    ),
}


@pytest.mark.parametrize("compiled", [False, True])
def test_known_derivatives(compiled):
    def every(_):
        return [
            derivative(function, ops.convert_to_tensor(x), **kwargs)
            for function, x, kwargs, _ in CASES.values()
        ]

    every = backend.compile_function(every, not compiled, "auto")
    for name, found in zip(CASES, every(ops.zeros(())), strict=True):
        expected = CASES[name][-1]
        tolerance = 1e-5 if CASES[name][2].get("order", 1) == 1 else 1e-4
        found = ops.convert_to_numpy(found)
        assert found.shape == expected.shape, name
        scale = max(1, np.abs(expected).max())
        assert np.abs(found - expected).max() < tolerance * scale, name


def test_layers_keep_nothing_of_it():
    inputs = keras.Input((2,))
    x = keras.layers.Dense(4, activation="tanh")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.5, seed=1)(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    before = [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    derivative(lambda x: model(x, training=True), X)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)


class WithSlope(keras.layers.Layer):
    """Returns the derivative of its layer, as an output."""

    def __init__(self):
        super().__init__()
        self.inner = keras.layers.Dense(1)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, inputs):
        return derivative(self.inner, inputs)


def test_predict_has_gradients():
    layer = WithSlope()
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layer(inputs))
    slopes = model.predict(X, verbose=0)
    kernel = ops.convert_to_numpy(layer.inner.kernel)
    np.testing.assert_allclose(slopes, np.tile(kernel.T, (5, 1)), rtol=1e-6)


@pytest.mark.parametrize(
    "function, x, kwargs, part",
    [
        (lambda x: ops.convert_to_tensor(A), X, {}, "not depend on `x`"),
        (lambda x: ops.stop_gradient(cubic(x)), X, {}, "not depend on `x`"),
        (ops.sum, X, {}, "a value for each sample"),
        (lambda x: {"u": x}, X, {}, "one tensor"),
        (cubic, X.astype("int32"), {}, "floating point numbers"),
        (cubic, X, {"by": 2}, "from 0 to 1"),
        (cubic, X, {"by": []}, "from 0 to 1"),
        (cubic, X, {"order": 0}, "`order`"),
        (cubic, X[:, :, None], {"by": 0}, "[n, d] or [n]"),
    ],
)
def test_mistakes(function, x, kwargs, part):
    with pytest.raises(ValueError) as error:
        derivative(function, x, **kwargs)
    assert part in str(error.value)
