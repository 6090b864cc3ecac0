"""How much XLA makes of a step on JAX: the time to compile it follows."""

import keras
import pytest

import keras_mtl
from training import toy

pytestmark = pytest.mark.skipif(
    toy.BACKEND != "jax", reason="looks at what JAX compiles"
)

TASKS = tuple("abcdef")


def optimized_step(strategy):
    """The program of a training step with six heads, and its variables."""
    import jax

    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(8, activation="relu")(inputs)
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
    program = jax.jit(model.train_step).lower(state, (x, y)).compile()
    return program.as_text(), len(model.trainable_variables)


def test_each_gradient_is_looked_at_once():
    program, num_variables = optimized_step("mgda")
    # Once each, losses and the Gramian too, and the gradients of heads once
    # more, to name the task. Copied into the update of each variable it would
    # be as often for each of them.
    assert 0 < program.count(" is-finite(") <= 4 * num_variables
