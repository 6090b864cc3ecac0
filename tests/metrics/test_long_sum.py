import numpy as np
import pytest

from keras_mtl.metrics.long_sum import sum_by_index
from tests.backend_tools import by_dtype
from tests.backend_tools import compiled
from tests.backend_tools import numpy
from tests.backend_tools import tensor


@pytest.mark.parametrize("is_compiled", [False, True])
def test_sum_by_index(is_compiled):
    generator = np.random.default_rng(0)
    values = generator.normal(size=1000)
    # Not all of the indices occur.
    indices = generator.integers(0, 7, size=1000)
    expected = np.zeros(9)
    np.add.at(expected, indices, values)

    def add(values, indices):
        return sum_by_index(values, indices, 9)

    add = compiled(add) if is_compiled else add
    sums = add(tensor(values), tensor(indices, "int32"))
    # float64 where the backend has it.
    tolerance = by_dtype(sums, 1e-12, 1e-4)
    np.testing.assert_allclose(numpy(sums), expected, rtol=0, atol=tolerance)
