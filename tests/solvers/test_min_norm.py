import numpy as np
import pytest
import quadprog
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_mtl.solvers.min_norm import min_norm_weights
from keras_mtl.solvers.namespace import HOST
from keras_mtl.solvers.namespace import Graph
from tests.backend_tools import BACKEND
from tests.backend_tools import compiled
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases


def solve(rows, mask=None):
    weights = min_norm_weights(HOST, rows @ rows.T, mask)
    return weights, weights @ rows


def largest_norm(rows):
    return np.linalg.norm(rows, axis=1).max()


def gap(rows, vector):
    """Bounds the squared distance to the exact point, relative."""
    size = largest_norm(rows) ** 2 or 1.0
    return (vector @ vector - (rows @ vector).min()) / size


def test_golden_values():
    count = 0
    for label, rows, _, get, _ in cases("mgda", "exact"):
        _, vector = solve(rows)
        assert_near(vector, get("vector"), 1e-9, largest_norm(rows), label)
        count += 1
    assert count > 60


@pytest.mark.parametrize("num_tasks", [2, 3, 5, 8, 16, 32, 40])
@pytest.mark.parametrize("size", [2, 10, 100])
def test_equals_quadprog(num_tasks, size):
    generator = np.random.default_rng(num_tasks * size)
    for pull in (0.0, 0.5, 0.9, 1.15):
        rows = generator.normal(size=(num_tasks, size))
        rows -= pull * rows.mean(axis=0)
        weights, vector = solve(rows)
        assert (weights >= 0).all() and abs(weights.sum() - 1) < 1e-12
        gramian = rows @ rows.T + 1e-9 * np.eye(num_tasks)
        constraints = np.column_stack([np.ones(num_tasks), np.eye(num_tasks)])
        bounds = np.r_[1.0, np.zeros(num_tasks)]
        expected = quadprog.solve_qp(
            gramian, np.zeros(num_tasks), constraints, bounds, 1
        )[0]
        # The ridge that quadprog needs costs it some digits.
        assert_near(vector, expected @ rows, 1e-4, largest_norm(rows))
        assert gap(rows, vector) < 1e-12


def test_norms_of_any_ratio():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(4, 10))
    rows *= np.array([[1e-18], [1e-3], [1.0], [1e15]])
    weights, vector = solve(rows)
    # The shortest row, less what conflicts with the longer ones.
    length = np.linalg.norm(vector)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert 0 < length < np.linalg.norm(rows[0])
    assert (units @ vector).min() > -1e-9 * length
    np.testing.assert_allclose(weights[0], 1.0)
    np.testing.assert_allclose(rows[0] @ vector, length**2, rtol=1e-9)


def test_zero_rows_take_all_the_weight():
    rows = np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 1.0], [0.0, 0.0]])
    weights, _ = solve(rows)
    np.testing.assert_array_equal(weights, [0, 0.5, 0, 0.5])
    weights, _ = solve(rows, np.array([1.0, 0.0, 1.0, 0.0]))
    np.testing.assert_allclose(
        weights, solve(rows[[0, 2]])[0][[0, 0, 1, 1]] * [1, 0, 1, 0]
    )


def test_nobody_there():
    rows = np.ones((3, 2))
    np.testing.assert_array_equal(solve(rows, np.zeros(3))[0], np.zeros(3))


def test_not_a_number_is_not_hidden():
    rows = np.ones((3, 2))
    rows[1, 1] = np.nan
    assert np.isnan(solve(rows)[0]).any()
    assert np.isfinite(solve(rows, np.array([1.0, 0.0, 1.0]))[0]).all()


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 10), st.integers(1, 10), st.integers(0, 2**31))
def test_conditions_of_optimality(num_tasks, size, seed):
    generator = np.random.default_rng(seed)
    rows = generator.integers(-2, 3, size=(num_tasks, size)).astype("float64")
    rows *= 10.0 ** generator.integers(-3, 4, size=(num_tasks, 1))
    weights, vector = solve(rows)
    assert (weights >= 0).all() and abs(weights.sum() - 1) < 1e-12
    assert gap(rows, vector) < 1e-12


def test_compiled_in_float32_with_norm_ratios():
    weigh = compiled(lambda gramian: min_norm_weights(Graph(1.2e-7), gramian))
    generator = np.random.default_rng(1)
    for _ in range(10):
        rows = generator.normal(size=(5, 40)).astype("float32")
        rows *= 10.0 ** generator.integers(-6, 1, size=(5, 1))
        rows = rows.astype("float32")
        gramian = rows @ rows.T
        weights = numpy(weigh(tensor(gramian)))
        rows = rows.astype("float64")
        _, expected = solve(rows)
        # Relative to the shortest row, which the answer is as long as.
        shortest = np.linalg.norm(rows, axis=1).min()
        assert_near(weights @ rows, expected, 1e-4, shortest)


@pytest.mark.parametrize("num_tasks", [48, 64, 100])
def test_in_float32_with_more_tasks_than_dimensions(num_tasks):
    def weigh(gramian):
        return min_norm_weights(Graph(1.2e-7), gramian)

    if BACKEND != "torch":
        # It does not compile the loop of the solver for more than 40 tasks.
        weigh = compiled(weigh)
    generator = np.random.default_rng(num_tasks)
    for shift in (0.0, 0.3, 1.0, 3.0):
        # Rounding makes some of the eigenvalues that are 0 negative.
        rows = shift + generator.normal(size=(num_tasks, 16))
        rows = rows.astype("float32")
        weights = numpy(weigh(tensor(rows @ rows.T)))
        np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-5)
        assert gap(rows.astype("float64"), weights @ rows) < 1e-5
