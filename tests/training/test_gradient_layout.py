"""The layout in memory in which gradients arrive on torch."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl import backend
from training import toy


@pytest.mark.skipif(toy.BACKEND != "torch", reason="others have no strides")
def test_gradients_of_kernels_have_the_layout_of_the_kernels():
    keras.utils.set_random_seed(0)
    layer = keras.layers.Conv2D(4, 3)
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 3))
    layer.build(images.shape)
    variables = layer.trainable_variables

    def loss_of(values):
        pairs = list(zip(variables, values, strict=True))
        with keras.StatelessScope(pairs):
            outputs = layer(ops.convert_to_tensor(images, dtype="float32"))
        return [ops.sum(ops.square(outputs))], None

    values = [variable.value for variable in variables]
    losses, _, pullback = backend.linearize(loss_of, values)
    gradients = pullback({0: ops.ones_like(losses[0])}, [0, 1])
    assert all(gradient.is_contiguous() for gradient in gradients)
    assert any(ops.max(ops.abs(gradient)) > 0 for gradient in gradients)
