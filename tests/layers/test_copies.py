"""Copies of templates, which are the same but for their random numbers."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl import layers
from keras_mtl.layers.copies import Template
from tests.backend_tools import numpy

TASKS = ("left", "right")


def seeded():
    return keras.Sequential(
        [
            keras.layers.Dense(
                4, kernel_initializer=keras.initializers.GlorotUniform(seed=3)
            ),
            keras.layers.Dropout(0.5, seed=7),
        ]
    )


def kernels(layer):
    return [
        numpy(v.value) for v in layer.trainable_weights if v.name == "kernel"
    ]


@pytest.mark.parametrize("template", [keras.layers.Dense(4), seeded()])
def test_copies_start_from_different_weights(template):
    layer = layers.PLE(TASKS, template)
    layer(np.ones((2, 4), "float32"))
    experts = [kernels(e)[0] for level in layer.levels for e in level.experts]
    for i, left in enumerate(experts):
        for right in experts[:i]:
            assert np.abs(left - right).max() > 1e-3


def test_fixed_seeds_give_the_same_copies_each_time():
    first, second = (
        layers.MixtureOfExperts(
            seeded(),
            num_experts=3,
            gate=keras.layers.Dense(
                3, kernel_initializer=keras.initializers.GlorotUniform(seed=1)
            ),
        )
        for _ in range(2)
    )
    x = np.ones((2, 5), "float32")
    np.testing.assert_array_equal(numpy(first(x)), numpy(second(x)))


def test_random_layers_of_copies_draw_different_numbers():
    template = Template("expert", keras.layers.Dropout(0.5, seed=7))
    x = ops.ones((1, 64))
    left, right = (template.copy(name)(x, training=True) for name in "ab")
    assert np.any(numpy(left) != numpy(right))


def test_the_template_is_left_alone():
    expert = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])
    before = [numpy(variable.value) for variable in expert.variables]
    layer = layers.MMoE(TASKS, expert, num_experts=2)
    layer(np.ones((2, 5), "float32"))
    template_ids = {id(variable) for variable in expert.variables}
    assert not template_ids & {id(variable) for variable in layer.variables}
    # Two experts with two variables, and two gates.
    assert len(layer.variables) == 6
    for variable, value in zip(expert.variables, before, strict=True):
        np.testing.assert_array_equal(numpy(variable.value), value)


def test_copies_of_a_loaded_template_share_nothing():
    inputs = keras.Input((5,))
    expert = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(3)])
    layer = layers.MixtureOfExperts(expert, num_experts=3)
    keras.Model(inputs, layer(inputs)).save("model.keras")
    loaded = keras.saving.load_model("model.keras")
    # Three experts with four variables, and the gate.
    assert len(loaded.variables) == 13


def test_a_layer_without_a_name_in_its_config():
    class Bias(keras.layers.Layer):
        def __init__(self, value, **kwargs):
            super().__init__(**kwargs)
            self.value = value

        def call(self, inputs):
            return inputs + self.value

    layer = layers.MixtureOfExperts(Bias(2.0), num_experts=2)
    x = np.zeros((2, 3), "float32")
    np.testing.assert_allclose(numpy(layer(x)), 2.0, rtol=1e-6)


def test_ready_layers_are_used_themselves():
    experts = [keras.layers.Dense(3), keras.layers.Dense(3)]
    layer = layers.MixtureOfExperts(experts)
    layer(np.ones((2, 5), "float32"))
    assert layer.experts[0] is experts[0] and layer.experts[1] is experts[1]
