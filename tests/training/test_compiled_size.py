"""How much XLA makes of a step on JAX, and what memory it plans for it."""

import re

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl import backend
from training import toy

pytestmark = pytest.mark.skipif(
    toy.BACKEND != "jax", reason="looks at what JAX compiles"
)

TASKS = tuple("abcdef")


@pytest.fixture(autouse=True)
def compile_as_for_users(compile_quickly):
    """The order of operations, too, is another with few optimizations."""
    import jax

    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


def optimized_step(strategy, units=8, depth=2, samples=16, tasks=TASKS):
    """A compiled training step with six heads, and the model."""
    import jax

    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = inputs
    for _ in range(depth):
        features = keras.layers.Dense(units, activation="relu")(features)
    model = keras_mtl.MultiTaskModel(
        inputs, {task: keras.layers.Dense(1)(features) for task in tasks}
    )
    loss = dict.fromkeys(tasks, "mse")
    toy.compiled(model, strategy, keras.optimizers.Adam(), loss=loss)
    x = np.random.default_rng(0).normal(size=(samples, 6)).astype("float32")
    y = dict.fromkeys(tasks, x[:, :1])
    # It makes what a step needs. What it compiles is not looked at.
    jax.config.update("jax_disable_most_optimizations", True)
    model.train_on_batch(x, y)
    jax.config.update("jax_disable_most_optimizations", False)
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


def different_kernels(program):
    """How many fused computations there are that differ from each other.

    XLA compiles those that are alike once.
    """
    text = re.sub(r", metadata=\{[^}]*\}|/\*.*?\*/", "", program.as_text())
    kernels = set()
    for computation in re.split(r"\n(?=(?:ENTRY )?%[\w.\-]+ \()", text):
        name, _, body = computation.partition("{\n")
        if "fused_computation" not in name and "wrapped" not in name:
            continue
        known: dict[str, int] = {}
        kernels.add(
            re.sub(
                r"%[\w.\-]+",
                lambda found, known=known: str(
                    known.setdefault(found.group(), len(known))
                ),
                body,
            )
        )
    return len(kernels)


@pytest.mark.parametrize("strategy", ["ew", "mgda"])
def test_more_tasks_need_hardly_more_kernels(strategy):
    few, many = (
        different_kernels(optimized_step(strategy, tasks=tasks)[0])
        for tasks in (TASKS, (*TASKS, *"ghijkl"))
    )
    assert few > 0
    assert abs(many - few) <= 2


def test_a_solver_is_two_loops():
    program, _ = optimized_step("mgda")
    # Supports, and the pivots of a system.
    assert program.as_text().count(" while(") == 2


def copies_of_trunk(strategy, depth=2, samples=16):
    """The memory that XLA plans for a step, in copies of the trunk."""
    program, model = optimized_step(strategy, 512, depth, samples)
    trunk = sum(layer.count_params() for layer in model.layers[1 : depth + 1])
    planned = program.memory_analysis().temp_size_in_bytes
    return planned / (4 * trunk)


def test_one_gradient_lives_at_a_time_in_low_memory():
    def copies(memory):
        strategy = keras_mtl.Strategy(aggregator="mgda", memory=memory)
        return copies_of_trunk(strategy)

    assert copies("normal") > len(TASKS) - 1
    low = copies("low")
    assert low < 2.5, low


def test_one_perturbed_pass_is_made_at_a_time():
    # Both gradients of each task, and one set of perturbed weights: not six.
    copies = copies_of_trunk("fs_mtl", depth=3, samples=256)
    assert copies < 2 * len(TASKS) + 1, copies


def test_the_end_of_a_pass_without_gradients_is_not_waited_for():
    assert backend.end_of_pass([]) is None
    assert backend.end_of_pass([keras.ops.zeros((0, 3))]) is None
