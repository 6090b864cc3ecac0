from types import SimpleNamespace

import cvxpy
import numpy as np
import pytest

from keras_mtl import aggregators
from keras_mtl.solvers.cone_direction import cone_direction_weights
from keras_mtl.solvers.namespace import HOST
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor

EXACT = SimpleNamespace(**vars(HOST))


def conic_level(rows, cosine):
    """The best level of a vector of length 1 at most, by a conic solver."""
    mean = rows.mean(0) / np.linalg.norm(rows.mean(0))
    vector, level = cvxpy.Variable(rows.shape[1]), cvxpy.Variable()
    problem = cvxpy.Problem(
        cvxpy.Maximize(level),
        [
            rows @ vector >= level,
            mean @ vector >= cosine * cvxpy.norm(vector),
            cvxpy.norm(vector) <= 1,
        ],
    )
    problem.solve(solver="CLARABEL")
    return level.value


def level_at_fixed_height(rows, cosine):
    """The best level of `c g_0 / ||g_0|| + u`, by a conic solver."""
    mean = rows.mean(0) / np.linalg.norm(rows.mean(0))
    side, level = cvxpy.Variable(rows.shape[1]), cvxpy.Variable()
    problem = cvxpy.Problem(
        cvxpy.Maximize(level),
        [
            rows @ (cosine * mean + side) >= level,
            mean @ side == 0,
            cvxpy.norm(side) <= np.sqrt(1 - cosine**2),
        ],
    )
    problem.solve(solver="CLARABEL")
    return level.value


def test_a_conic_solver_agrees():
    generator = np.random.default_rng(0)
    served = inner = stationary = 0
    for trial in range(60):
        num_tasks, size = generator.integers(2, [8, 12])
        cosine = (0.1, 0.3, 0.5, 0.8, 0.95)[trial % 5]
        rows = generator.normal(size=(num_tasks, size))
        rows *= 10.0 ** generator.uniform(-2, 2, size=(num_tasks, 1))
        if trial % 3 == 0:
            shift = 1.5 * generator.normal(size=size) / np.sqrt(size)
            rows += shift * np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.linalg.norm(rows, axis=1).max()
        weights = cone_direction_weights(EXACT, rows @ rows.T, cosine)
        update, mean = weights @ rows, rows.mean(0)
        length = np.linalg.norm(mean)
        np.testing.assert_allclose(np.linalg.norm(update), length, rtol=1e-6)
        angle = update @ mean / length**2
        assert angle >= cosine * (1 - 1e-7)
        unit = update / length
        level = conic_level(rows, cosine)
        if level > 1e-5:
            served += 1
            inner += angle > cosine + 1e-6
            assert (rows @ unit).min() >= level * (1 - 1e-4)
        else:
            stationary += 1
            expected = level_at_fixed_height(rows, cosine)
            assert (rows @ unit * cosine / angle).min() >= expected - 1e-6
    assert served >= 30 and inner >= 10 and stationary >= 5
    assert served - inner >= 10


def test_the_graph_agrees_in_float32():
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(5, 12)) + 0.2
    for cosine in (0.2, 0.9):
        weights = cone_direction_weights(EXACT, rows @ rows.T, cosine)
        update = aggregators.ConicGrad(cosine)(tensor(rows, "float32"))
        np.testing.assert_allclose(
            numpy(update), weights @ rows, rtol=1e-3, atol=1e-4
        )


def test_a_wide_cone_has_the_direction_of_mgda():
    rows = np.random.default_rng(0).normal(size=(4, 30))
    mgda = numpy(aggregators.MGDA()(tensor(rows)))
    update = aggregators.ConicGrad(c=0.01)(tensor(rows))
    expected = mgda / np.linalg.norm(mgda) * np.linalg.norm(rows.mean(0))
    np.testing.assert_allclose(
        numpy(update),
        expected,
        rtol=by_dtype(update, 1e-8, 1e-4),
        atol=by_dtype(update, 1e-12, 1e-5),
    )


def test_a_cone_of_no_width_has_the_mean():
    rows = np.random.default_rng(0).normal(size=(4, 5))
    for cosine in (1.0, 1.0 - 1e-12):
        update = aggregators.ConicGrad(c=cosine)(tensor(rows))
        np.testing.assert_allclose(numpy(update), rows.mean(0), rtol=1e-3)


def test_two_tasks_in_closed_form():
    # The weaker task is at 135 degrees: the update leans to it by 60.
    rows = np.array([[10.0, 0.0], [-0.7, 0.7]])
    mean = rows.mean(0)
    turn = np.array([[0.5, -np.sqrt(0.75)], [np.sqrt(0.75), 0.5]])
    update = aggregators.ConicGrad(c=0.5)(tensor(rows))
    mgda = numpy(aggregators.MGDA()(tensor(rows)))
    cosine = mgda @ mean / np.linalg.norm(mgda) / np.linalg.norm(mean)
    assert cosine < 0.5
    np.testing.assert_allclose(
        numpy(update), turn @ mean, rtol=by_dtype(update, 1e-8, 1e-4)
    )


def test_rows_without_a_mean():
    rows = np.array([[1.0, 2.0], [-1.0, -2.0]])
    update = aggregators.ConicGrad()(tensor(rows))
    np.testing.assert_allclose(numpy(update), [0, 0], atol=1e-6)


def test_zero_rows_count_in_the_mean():
    rows = np.array([[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
    expected = numpy(aggregators.ConicGrad()(tensor(rows[:2]))) * 2 / 3
    update = aggregators.ConicGrad()(tensor(rows))
    np.testing.assert_allclose(numpy(update), expected, rtol=1e-5)


def test_wrong_arguments():
    for c in (0, -0.5, 1.5, "a", float("nan")):
        with pytest.raises(ValueError, match=f"Received: c={c}"):
            aggregators.ConicGrad(c=c)
