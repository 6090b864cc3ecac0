import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_mtl.solvers.common_direction import common_direction_weights
from keras_mtl.solvers.min_norm import min_norm_weights
from keras_mtl.solvers.namespace import HOST
from tests.golden_data import assert_near
from tests.golden_data import cases


def solve(rows, c, mask=None):
    weights = common_direction_weights(HOST, rows @ rows.T, c, mask)
    return weights, weights @ rows


def duality_gap(rows, weights, c):
    """Bounds how much better the worst task could be, relative."""
    mean = rows.mean(axis=0)
    radius = c * np.linalg.norm(mean)
    direction = weights @ rows
    offset = direction - mean
    assert np.linalg.norm(offset) <= radius * (1 + 1e-9)
    multipliers = weights - 1 / len(rows)
    assert multipliers.min() >= -1e-12 * np.abs(weights).max()
    worst = (rows @ direction).min()
    if multipliers.sum() <= 0:
        return 0.0 if c == 0 else np.inf
    dual = multipliers / multipliers.sum() @ rows
    bound = dual @ mean + radius * np.linalg.norm(dual)
    size = np.linalg.norm(mean) * np.linalg.norm(rows, axis=1).max()
    return (bound - worst) / size


@pytest.mark.parametrize("c", [0.4, 0.5])
def test_golden_values(c):
    count = 0
    for label, rows, _, get, _ in cases("cagrad", f"exact.c{c}"):
        assert_near(solve(rows, c)[1], get("vector"), 1e-9, label=label)
        count += 1
    assert count > 50


@pytest.mark.parametrize("num_tasks", [2, 3, 8, 20, 40])
@pytest.mark.parametrize("size", [2, 10, 100])
@pytest.mark.parametrize("c", [0.1, 0.4, 0.9])
def test_no_direction_is_better(num_tasks, size, c):
    generator = np.random.default_rng(num_tasks * size)
    for pull in (0.0, 0.5, 1.15):
        rows = generator.normal(size=(num_tasks, size))
        rows -= pull * rows.mean(axis=0)
        weights, _ = solve(rows, c)
        assert duality_gap(rows, weights, c) < 1e-8


def test_norm_ratios():
    generator = np.random.default_rng(0)
    for _ in range(10):
        rows = generator.normal(size=(4, 30))
        rows *= 10.0 ** generator.integers(-3, 4, size=(4, 1))
        weights, _ = solve(rows, 0.5)
        assert duality_gap(rows, weights, 0.5) < 1e-9


def test_zero_radius_is_the_mean():
    rows = np.random.default_rng(0).normal(size=(3, 5))
    np.testing.assert_allclose(solve(rows, 0.0)[0], np.full(3, 1 / 3))


def test_large_radius_comes_near_to_the_shortest_vector():
    rows = np.random.default_rng(0).normal(size=(3, 20))
    _, direction = solve(rows, 1e6)
    shortest = min_norm_weights(HOST, rows @ rows.T) @ rows
    cosine = direction @ shortest
    cosine /= np.linalg.norm(direction) * np.linalg.norm(shortest)
    assert cosine > 1 - 1e-9


def test_opposed_gradients_stay():
    rows = np.array([[1.0, 2.0], [-1.0, -2.0]])
    np.testing.assert_allclose(solve(rows, 0.4)[1], [0, 0], atol=1e-15)


def test_opposed_directions_of_different_length():
    # No task can gain without a loss of the other: the shortest way to none.
    rows = np.array([[3.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    _, direction = solve(rows, 0.4)
    np.testing.assert_allclose(direction, [0.6, 0, 0], atol=1e-9)
    rows = np.array([[1.1, 1.0], [-1.0, 1.0], [0.0, 1.0], [1.0, 0], [-1.0, 0]])
    weights, direction = solve(rows, 0.9)
    assert np.isfinite(weights).all()
    assert (rows @ direction).min() > -1e-9
    assert direction[1] > 0.5


def test_zero_rows_count_in_the_mean_only():
    rows = np.random.default_rng(0).normal(size=(3, 20))
    padded = np.vstack([rows, np.zeros((1, 20))])
    np.testing.assert_allclose(
        solve(padded, 0.4)[1], solve(rows, 0.4)[1] * 3 / 4
    )


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 0.1, 0.4, 0.9, 1.0, 3.0]),
)
def test_finite_and_within_the_ball(num_tasks, size, seed, c):
    generator = np.random.default_rng(seed)
    rows = generator.integers(-2, 3, size=(num_tasks, size)).astype("float64")
    weights, direction = solve(rows, c)
    assert np.isfinite(weights).all()
    mean = rows.mean(axis=0)
    radius = c * np.linalg.norm(mean)
    assert np.linalg.norm(direction - mean) <= radius * (1 + 1e-8) + 1e-7
    # Never worse for the worst task than the mean is.
    worst = (rows @ direction).min()
    assert worst >= (rows @ mean).min() - 1e-7
