import numpy as np
import pytest

from keras_mtl.solvers.adam import adam_step
from tests.backend_tools import by_dtype
from tests.backend_tools import compiled
from tests.backend_tools import numpy
from tests.backend_tools import tensor


def reference(values, gradients, learning_rate, weight_decay):
    """The algorithm of the paper with an L2 penalty, by the letter."""
    first = second = np.zeros_like(values)
    for step, gradient in enumerate(gradients, 1):
        gradient = gradient + weight_decay * values
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        values = values - learning_rate * (first / (1 - 0.9**step)) / (
            np.sqrt(second / (1 - 0.999**step)) + 1e-8
        )
    return values


def run(values, gradients, learning_rate, weight_decay, masks=None):
    zeros = tensor(np.zeros_like(values))
    state = (tensor(values), zeros, zeros, zeros)
    for step, gradient in enumerate(gradients):
        mask = None if masks is None else tensor(masks[step])
        value, *moments = state
        state = adam_step(
            value,
            tensor(gradient),
            *moments,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            mask=mask,
        )
    return state


@pytest.mark.parametrize("weight_decay", [0.0, 1e-3, 0.5])
def test_the_algorithm_by_the_letter(weight_decay):
    generator = np.random.default_rng(0)
    values = generator.normal(size=4)
    gradients = generator.normal(size=(30, 4))
    value, *_ = run(values, gradients, 0.025, weight_decay)
    np.testing.assert_allclose(
        numpy(value),
        reference(values, gradients, 0.025, weight_decay),
        rtol=by_dtype(value, 1e-12, 1e-5),
        atol=by_dtype(value, 1e-13, 1e-6),
    )


def test_the_first_step_is_the_learning_rate():
    value, *_ = run(np.zeros(3), np.array([[1e-3, -2.0, 0.0]]), 0.025, 0.0)
    np.testing.assert_allclose(
        numpy(value), [-0.025, 0.025, 0.0], rtol=by_dtype(value, 1e-4, 1e-4)
    )


def test_masked_entries_wait():
    generator = np.random.default_rng(1)
    values = generator.normal(size=3)
    gradients = generator.normal(size=(6, 3))
    masks = np.ones((6, 3))
    masks[[0, 2, 3], 1] = 0
    state = run(values, gradients, 0.025, 1e-3, masks)
    expected = reference(values, gradients, 0.025, 1e-3)
    # Entry 1 is where it would be had there been only its own steps.
    expected[1] = reference(values, gradients[[1, 4, 5]], 0.025, 1e-3)[1]
    np.testing.assert_allclose(
        numpy(state[0]), expected, rtol=by_dtype(state[0], 1e-12, 1e-5)
    )
    np.testing.assert_array_equal(numpy(state[3]), [6, 3, 6])
    still = adam_step(
        *state[:1],
        tensor(np.full(3, 7.0)),
        *state[1:],
        learning_rate=0.025,
        weight_decay=1e-3,
        mask=tensor(np.zeros(3)),
    )
    for before, after in zip(state, still, strict=True):
        np.testing.assert_array_equal(numpy(before), numpy(after))


def test_in_a_graph():
    def step(value, gradient, first, second, steps, mask):
        return adam_step(
            value, gradient, first, second, steps, 0.025, 1e-3, mask
        )

    arrays = [np.random.default_rng(2).uniform(size=3) for _ in range(4)]
    arrays += [np.array([3.0, 0.0, 1.0]), np.array([1.0, 0.0, 1.0])]
    tensors = [tensor(array, "float32") for array in arrays]
    in_graph = compiled(step)(*tensors)
    for one, other in zip(in_graph, step(*tensors), strict=True):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-5)
