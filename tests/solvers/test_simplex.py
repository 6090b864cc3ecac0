import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_mtl.solvers.namespace import HOST
from keras_mtl.solvers.namespace import Graph
from keras_mtl.solvers.simplex import project_onto_simplex
from tests.backend_tools import compiled
from tests.backend_tools import numpy
from tests.backend_tools import tensor


def project(values, mask=None):
    return project_onto_simplex(HOST, np.asarray(values, "float64"), mask)


def assert_nearest(values, point, tolerance=1e-12):
    """Checks the conditions of Karush, Kuhn and Tucker."""
    assert (point >= 0).all()
    assert abs(point.sum() - 1) <= tolerance
    # Relative to the largest entry, where all that matters is of size 1.
    threshold = np.maximum(values - values.max(), -2.0) - point
    inside = point > 0
    level = threshold[inside].max()
    assert (abs(threshold[inside] - level) <= tolerance).all()
    assert (threshold[~inside] <= level + tolerance).all()


@settings(deadline=None)
@given(
    values=st.lists(
        st.floats(-3, 3) | st.floats(-1e30, 1e30), min_size=1, max_size=9
    )
)
def test_is_the_nearest_point(values):
    values = np.array(values)
    assert_nearest(values, project(values), 1e-12)


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), size=st.integers(2, 12))
def test_absent_entries_are_removed_entries(seed, size):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=size) * 10.0 ** generator.integers(-3, 9)
    mask = np.zeros(size)
    mask[generator.permutation(size)[: size // 2]] = 1
    actual = project(values, mask)
    np.testing.assert_allclose(
        actual[mask > 0], project(values[mask > 0]), atol=1e-14
    )
    np.testing.assert_array_equal(actual[mask == 0], 0)


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
        ([1.0, 1.0], [0.5, 0.5]),
        ([5.0, 0.0, -7.0], [1.0, 0.0, 0.0]),
        ([0.0, -0.5, -2.0], [0.75, 0.25, 0.0]),
        ([-4.0], [1.0]),
        ([0.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]),
    ],
)
def test_closed_forms(values, expected):
    np.testing.assert_allclose(project(values), expected, atol=1e-15)


def test_nobody_there():
    np.testing.assert_array_equal(project([1.0, 2.0], np.zeros(2)), [0, 0])


def test_graph_equals_host():
    in_graph = compiled(
        lambda values, mask: project_onto_simplex(Graph(1.2e-7), values, mask)
    )
    generator = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 1e6, 1e30):
        values = generator.normal(size=5) * scale
        for mask in (np.ones(5), np.array([1.0, 0, 1, 1, 0]), np.zeros(5)):
            actual = in_graph(
                tensor(values, "float32"), tensor(mask, "float32")
            )
            np.testing.assert_allclose(
                numpy(actual),
                project(values.astype("float32"), mask),
                atol=1e-6,
            )
