from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from keras_mtl.solvers.namespace import HOST
from keras_mtl.solvers.namespace import Graph
from keras_mtl.solvers.nonnegative import solve_nonnegative
from tests.backend_tools import compiled
from tests.backend_tools import numpy
from tests.backend_tools import tensor


def problem(generator, num, rows):
    matrix = generator.normal(size=(rows, num))
    right = generator.normal(size=rows)
    return matrix, right, matrix.T @ matrix, matrix.T @ right


def violation(matrix, target, values):
    """How far values are from the conditions of optimality, relative."""
    gradient = matrix @ values - target
    size = np.abs(target).max() or 1.0
    assert (values >= 0).all()
    return (
        max(-gradient.min(initial=0), np.abs(gradient * (values > 0)).max())
        / size
    )


@pytest.mark.parametrize("num", [1, 2, 3, 8, 20, 40])
@pytest.mark.parametrize("extra", [0, 20])
def test_equals_least_squares(num, extra):
    generator = np.random.default_rng(num + extra)
    for _ in range(20):
        matrix, right, gramian, target = problem(
            generator, num, num + 1 + extra
        )
        expected, _ = nnls(matrix, right)
        values = solve_nonnegative(HOST, gramian, target)
        assert violation(gramian, target, values) < 1e-11
        np.testing.assert_allclose(
            matrix @ values, matrix @ expected, atol=1e-7
        )


@pytest.mark.parametrize("num, rows", [(3, 1), (8, 3), (20, 5), (40, 20)])
def test_singular_matrices(num, rows):
    generator = np.random.default_rng(num)
    for _ in range(20):
        matrix, right, gramian, target = problem(generator, num, rows)
        values = solve_nonnegative(HOST, gramian, target)
        assert violation(gramian, target, values) < 1e-9


def test_duplicates():
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(10, 4))[:, [0, 1, 1, 2, 2, 2, 3, 0]]
    gramian, target = matrix.T @ matrix, matrix.T @ np.ones(10)
    values = solve_nonnegative(HOST, gramian, target)
    assert violation(gramian, target, values) < 1e-10


def test_start_does_not_change_the_answer():
    generator = np.random.default_rng(1)
    for _ in range(20):
        _, _, gramian, target = problem(generator, 8, 12)
        start = np.maximum(generator.normal(size=8), 0)
        np.testing.assert_allclose(
            solve_nonnegative(HOST, gramian, target, start),
            solve_nonnegative(HOST, gramian, target),
            rtol=1e-9,
            atol=1e-12,
        )


def test_the_safe_steps_alone_find_the_answer(monkeypatch):
    monkeypatch.setattr("keras_mtl.solvers.nonnegative.BLOCK_STEPS", 0)
    generator = np.random.default_rng(4)
    for num in (2, 5, 12) * 20:
        matrix, right, gramian, target = problem(generator, num, num + 3)
        # Along a few directions, so that what enters turns negative later.
        matrix = matrix @ (np.eye(num) + 2.0)
        gramian, target = matrix.T @ matrix, matrix.T @ right
        expected, _ = nnls(matrix, right)
        values = solve_nonnegative(HOST, gramian, target)
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-8)


def test_the_ridge_leaves_no_bias():
    # As for a Gramian in float32, with arithmetic that does not hide it.
    coarse = SimpleNamespace(**{**vars(HOST), "epsilon": 1.2e-7})
    gramian = np.array([[1.0, 0.99], [0.99, 1.0]])
    values = solve_nonnegative(coarse, gramian, np.ones(2))
    # The solution of the 2 x 2 system; without refinement it is 1e-7 off.
    np.testing.assert_allclose(values, np.full(2, 1 / 1.99), rtol=1e-12)


def test_scales_do_not_matter():
    generator = np.random.default_rng(2)
    _, _, gramian, target = problem(generator, 6, 9)
    scale = 10.0 ** np.arange(-6, 6, 2)
    expected = solve_nonnegative(HOST, gramian, target)
    actual = solve_nonnegative(
        HOST, gramian * scale[:, None] * scale, target * scale
    )
    np.testing.assert_allclose(actual * scale, expected, rtol=1e-9)


def fragile(largest):
    """NumPy, with a solver that ends in NaN on ill-conditioned systems."""

    def solve_positive(matrix, target):
        solution = HOST.solve_positive(matrix, target)
        broken = np.linalg.cond(matrix) > largest
        return np.where(broken[..., None], np.nan, solution)

    return SimpleNamespace(**{**vars(HOST), "solve_positive": solve_positive})


@pytest.mark.parametrize("block_steps", [0, 8])
def test_supports_that_cannot_be_solved_are_left(monkeypatch, block_steps):
    monkeypatch.setattr(
        "keras_mtl.solvers.nonnegative.BLOCK_STEPS", block_steps
    )
    generator = np.random.default_rng(5)
    for num in (3, 6, 20) * 10:
        matrix = generator.normal(size=(num + 5, num))
        # Each column twice: only supports without both of a pair are sound.
        matrix = np.repeat(matrix, 2, axis=1)
        right = generator.normal(size=num + 5)
        gramian, target = matrix.T @ matrix, matrix.T @ right
        values = solve_nonnegative(fragile(1e6), gramian, target)
        assert violation(gramian, target, values) < 1e-9


def test_data_that_is_not_finite_gives_no_weights():
    gramian, target = np.eye(3), np.ones(3)
    with np.errstate(invalid="ignore"):
        for wrong in (np.nan, np.inf):
            spoiled = np.where(np.eye(3) * [0, 1, 0], wrong, gramian)
            assert np.isnan(solve_nonnegative(HOST, spoiled, target)).any()
            spoiled = np.array([1.0, wrong, 1.0])
            assert np.isnan(solve_nonnegative(HOST, gramian, spoiled)).any()


def test_nothing_to_gain():
    values = solve_nonnegative(HOST, np.eye(3), -np.ones(3))
    np.testing.assert_array_equal(values, np.zeros(3))


def test_unbounded_problems_get_a_finite_answer():
    assert np.isfinite(
        solve_nonnegative(HOST, np.zeros((3, 3)), np.ones(3))
    ).all()
    opposed = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert np.isfinite(solve_nonnegative(HOST, opposed, np.ones(2))).all()


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 1.0, -1.0]),
)
def test_conditions_of_optimality(num, rows, seed, shift):
    generator = np.random.default_rng(seed)
    # Small integers make ties, duplicates and exact degeneracy likely.
    matrix = generator.integers(-2, 3, size=(rows, num)).astype("float64")
    right = generator.integers(-2, 3, size=rows) + shift
    gramian, target = matrix.T @ matrix, matrix.T @ right
    values = solve_nonnegative(HOST, gramian, target)
    assert violation(gramian, target, values) < 1e-8


def test_compiled_in_float32():
    solve = compiled(
        lambda gramian, target: solve_nonnegative(
            Graph(1.2e-7), gramian, target
        )
    )
    generator = np.random.default_rng(3)
    for _ in range(10):
        _, _, gramian, target = problem(generator, 8, 30)
        actual = numpy(
            solve(tensor(gramian, "float32"), tensor(target, "float32"))
        )
        expected = solve_nonnegative(HOST, gramian, target)
        np.testing.assert_allclose(actual, expected, atol=1e-5)
