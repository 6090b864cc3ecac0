"""How much XLA makes of a step on JAX, and what memory it plans for it."""

import keras
import pytest

import keras_mtl
from training import toy

pytestmark = pytest.mark.skipif(
    toy.BACKEND != "jax", reason="looks at what JAX compiles"
)

TASKS = tuple("abcdef")


def optimized_step(strategy, units=8):
    """A compiled training step with six heads, and the model."""
    import jax

    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(units, activation="relu")(inputs)
    features = keras.layers.Dense(units, activation="relu")(features)
    model = keras_mtl.MultiTaskModel(
        inputs, {task: keras.layers.Dense(1)(features) for task in TASKS}
    )
    loss = dict.fromkeys(TASKS, "mse")
    toy.compiled(model, strategy, keras.optimizers.Adam(), loss=loss)
    x, _ = toy.first_batch()
    y = dict.fromkeys(TASKS, x[:, :1])
    model.train_on_batch(x, y)
    state = tuple(
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    return jax.jit(model.train_step).lower(state, (x, y)).compile(), model


def test_each_gradient_is_looked_at_once():
    program, model = optimized_step("mgda")
    num_variables = len(model.trainable_variables)
    # Once each, losses and the Gramian too, and the gradients of heads once
    # more, to name the task. Copied into the update of each variable it would
    # be as often for each of them.
    count = program.as_text().count(" is-finite(")
    assert 0 < count <= 4 * num_variables


def test_one_gradient_lives_at_a_time_in_low_memory():
    def copies_of_weights(memory):
        strategy = keras_mtl.Strategy(aggregator="mgda", memory=memory)
        program, model = optimized_step(strategy, units=512)
        trunk = sum(layer.count_params() for layer in model.layers[1:3])
        planned = program.memory_analysis().temp_size_in_bytes
        return planned / (4 * trunk)

    assert copies_of_weights("normal") > len(TASKS) - 1
    low = copies_of_weights("low")
    assert low < 2.5, low
