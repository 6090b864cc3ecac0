import numpy as np
import pytest

from keras_mtl.solvers.namespace import HOST
from keras_mtl.solvers.symmetric import has_full_rank
from keras_mtl.solvers.symmetric import pseudo_inverse_product
from keras_mtl.solvers.symmetric import solve_on_support
from keras_mtl.solvers.symmetric import unit_gramian


def test_unit_gramian():
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0], [5.0, 5.0]])
    norms, cosines, active = unit_gramian(
        HOST, rows @ rows.T, np.array([1.0, 1.0, 1.0, 0.0])
    )
    np.testing.assert_array_equal(active, [True, False, True, False])
    np.testing.assert_allclose(norms, [5, 1, 1, 1])
    expected = np.eye(4)
    expected[0, 2] = expected[2, 0] = 0.6
    np.testing.assert_allclose(cosines, expected)


def test_unit_gramian_in_the_range_of_float32():
    rows = np.array([[1e-18, 0.0], [1e15, 1e15]])
    gramian = (rows @ rows.T).astype("float32")
    norms, cosines, active = unit_gramian(HOST, gramian)
    assert active.all()
    np.testing.assert_allclose(norms, [1e-18, 2**0.5 * 1e15], rtol=1e-6)
    np.testing.assert_allclose(cosines[0, 1], 0.5**0.5, rtol=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_pseudo_inverse(rank):
    generator = np.random.default_rng(rank)
    factor = generator.normal(size=(4, rank))
    matrix, target = factor @ factor.T, generator.normal(size=4)
    assert has_full_rank(HOST, matrix) == (rank == 4)
    np.testing.assert_allclose(
        pseudo_inverse_product(HOST, matrix, target),
        np.linalg.pinv(matrix, hermitian=True) @ target,
        rtol=1e-8,
        atol=1e-10,
    )


def test_the_pseudo_inverse_of_zero_is_zero():
    zeros = np.zeros((3, 3))
    assert not has_full_rank(HOST, zeros)
    np.testing.assert_array_equal(
        pseudo_inverse_product(HOST, zeros, np.ones(3)), np.zeros(3)
    )


def test_solution_on_a_support():
    matrix = np.array([[1.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 1.0]])
    solution = solve_on_support(
        HOST, matrix, np.ones(3), np.array([True, False, True]), 0.0
    )
    assert solution[1] == 0
    np.testing.assert_allclose(
        solution[[0, 2]],
        np.linalg.solve(matrix[np.ix_([0, 2], [0, 2])], np.ones(2)),
    )
