"""How often the trunk is run backwards for gradients by its output."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from training import toy
from training.representation_networks import TASKS
from training.representation_networks import dense
from training.representation_runs import inputs_of
from training.representation_runs import labels_of
from training.representation_runs import strategy


def counted_identity(calls):
    """Lets its input through and counts the gradients that come back."""
    if toy.BACKEND == "jax":
        import jax

        @jax.custom_vjp
        def function(x):
            return x

        def backward(_, gradient):
            calls.append(1)
            return (gradient,)

        function.defvjp(lambda x: (x, None), backward)
        return function

    @ops.custom_gradient
    def function(x):
        def gradient(*args, upstream=None):
            calls.append(1)
            return args[0] if upstream is None else upstream

        return x, gradient

    return function


class Counted(keras.layers.Layer):
    """Counts forward and backward passes: on torch, else in each trace."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls, self.gradients = [], []
        self.function = counted_identity(self.gradients)

    def call(self, inputs):
        self.calls.append(1)
        return self.function(inputs)


def passes(gradients, graph):
    counted = Counted()
    trunk = [dense(5), counted]
    heads = {task: keras.layers.Dense(2, name=task) for task in TASKS}
    if graph:
        inputs = keras.Input((6,))
        features = counted(trunk[0](inputs))
        model = keras_mtl.MultiTaskModel(
            inputs, {task: head(features) for task, head in heads.items()}
        )
    else:
        model = keras_mtl.MultiTaskModel(
            trunk=keras.Sequential(trunk), heads=heads
        )
        model(np.zeros((1, 6), dtype="float32"))
    toy.compiled(
        model, strategy("mgda", gradients), loss=dict.fromkeys(TASKS, "mse")
    )
    x, y = inputs_of("", 8), labels_of(8)
    if toy.BACKEND == "torch":
        toy.step(model, x, y)  # Keras looks at the metrics in the first.
    counted.calls.clear()
    counted.gradients.clear()
    toy.step(model, x, y)
    return len(counted.calls), len(counted.gradients)


@pytest.mark.parametrize("graph", [False, True])
def test_one_backward_pass_through_the_trunk(graph):
    assert passes("representation", graph) == (1, 1)
    assert passes("parameters", graph) == (1, len(TASKS))
