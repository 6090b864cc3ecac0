"""The functions that solvers are written in, on the host and in graphs."""

import numpy as np
import pytest

from keras_mtl.solvers.namespace import HOST
from keras_mtl.solvers.namespace import Graph
from tests.backend_tools import numpy
from tests.backend_tools import tensor

BOTH = pytest.mark.parametrize(
    "xp", [HOST, Graph(1.2e-7)], ids=["host", "graph"]
)


@BOTH
@pytest.mark.parametrize("most, expected", [(None, 5), (9, 5), (3, 3), (0, 0)])
def test_loops_end_at_their_condition_or_limit(xp, most, expected):
    def double(count, value):
        return count + 1, value * 2.0

    start = (tensor(np.zeros((), "int32")), tensor(np.ones((), "float32")))
    count, value = xp.while_loop(
        lambda count, value: count < 5, double, start, maximum_iterations=most
    )
    assert int(numpy(count)) == expected
    assert float(numpy(value)) == 2.0**expected


@BOTH
@pytest.mark.parametrize("size", [1, 3, 8, 9, 17])
def test_positive_systems(xp, size):
    generator = np.random.default_rng(size)
    factor = generator.normal(size=(2, size, size + 3))
    matrix = factor @ np.swapaxes(factor, 1, 2)
    solution = generator.normal(size=(2, size))
    target = np.sum(matrix * solution[:, None, :], axis=2)
    found = xp.solve_positive(
        tensor(matrix, "float32"), tensor(target, "float32")
    )
    # The condition of these matrices is below 1e3.
    np.testing.assert_allclose(numpy(found), solution, rtol=1e-2, atol=1e-3)


@BOTH
def test_one_hot(xp):
    rows = xp.one_hot(tensor(np.array([2, 0], "int32")), 3, dtype="float32")
    np.testing.assert_array_equal(numpy(rows), [[0, 0, 1], [1, 0, 0]])
