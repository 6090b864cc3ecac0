"""The largest eigenvalue, against LAPACK's."""

import numpy as np
import pytest
from keras import ops

from keras_mtl.solvers.top_eigenvalue import top_eigenvalue
from tests.backend_tools import compiled
from tests.backend_tools import numpy
from tests.backend_tools import tensor

SIZE = 6


def matrix(eigenvalues):
    """A symmetric matrix with these eigenvalues."""
    generator = np.random.default_rng(0)
    basis, _ = np.linalg.qr(generator.normal(size=(SIZE, SIZE)))
    return (basis * eigenvalues) @ basis.T


def found(symmetric, iterations=200, tolerance=1e-3):
    """Eigenvalue and residual, of vectors in two parts."""
    symmetric = tensor(symmetric.astype("float32"))
    start = np.random.default_rng(1).normal(size=SIZE).astype("float32")

    def product(vector):
        whole = ops.concatenate([ops.reshape(vector[0], (-1,)), vector[1]])
        image = ops.matmul(symmetric, whole)
        return [ops.reshape(image[:4], (2, 2)), image[4:]]

    def run(*start):
        return top_eigenvalue(product, start, iterations, tolerance)

    parts = (tensor(start[:4].reshape(2, 2)), tensor(start[4:]))
    return [float(numpy(value)) for value in compiled(run)(*parts)]


@pytest.mark.parametrize(
    "eigenvalues",
    [
        [5.0, 3.0, 1.0, 0.0, -1.0, -2.0],
        # The largest one is not that of the largest size.
        [2.0, 1.0, 0.5, 0.0, -1.0, -4.0],
        # Power iteration alone goes to and fro.
        [3.0, 1.0, 0.5, 0.0, -1.0, -3.0],
        [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0],
        [7e3, 1.0, 0.0, 0.0, 0.0, 0.0],
    ],
)
def test_is_the_largest(eigenvalues):
    symmetric = matrix(np.array(eigenvalues))
    eigenvalue, residual = found(symmetric)
    assert residual <= 1e-3
    # The error is the square of the residual over the gap, and rounding.
    np.testing.assert_allclose(
        eigenvalue, np.linalg.eigvalsh(symmetric)[-1], rtol=1e-5
    )


def test_the_residual_tells_when_it_has_not_converged():
    symmetric = matrix(np.array([1.0, 0.9999, 0.5, 0.4, 0.1, 0.0]))
    eigenvalue, residual = found(symmetric, iterations=3, tolerance=0.0)
    assert residual > 1e-3
    distance = np.min(np.abs(np.linalg.eigvalsh(symmetric) - eigenvalue))
    assert distance <= residual * eigenvalue


def test_of_the_zero_operator():
    assert found(np.zeros((SIZE, SIZE))) == [0.0, 0.0]
