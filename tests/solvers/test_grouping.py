import itertools

import numpy as np
import pytest

from keras_mtl.solvers.grouping import group_means
from keras_mtl.solvers.namespace import HOST
from keras_mtl.solvers.namespace import Graph
from tests.backend_tools import compiled
from tests.backend_tools import numpy
from tests.backend_tools import tensor


def best_cost(values, num_groups):
    """The least cost over all partitions into intervals."""
    ordered, best = np.sort(values), np.inf
    for groups in range(1, min(num_groups, len(values)) + 1):
        for cuts in itertools.combinations(range(1, len(values)), groups - 1):
            parts = np.split(ordered, list(cuts))
            best = min(best, sum(((p - p.mean()) ** 2).sum() for p in parts))
    return best


@pytest.mark.parametrize("num_groups", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("size", [1, 2, 3, 6, 8])
def test_no_grouping_is_better(num_groups, size):
    generator = np.random.default_rng(size * num_groups)
    for _ in range(5):
        values = generator.exponential(size=size) ** 2
        means = group_means(HOST, values, num_groups)
        assert len(np.unique(np.round(means, 12))) <= num_groups
        cost = ((values - means) ** 2).sum()
        assert cost <= best_cost(values, num_groups) + 1e-12
        np.testing.assert_allclose(means.sum(), values.sum())
        order = generator.permutation(size)
        np.testing.assert_allclose(
            group_means(HOST, values[order], num_groups), means[order]
        )


def test_clear_groups():
    values = np.array([1.0, 10.0, 1.2, 0.8, 12.0])
    np.testing.assert_allclose(
        group_means(HOST, values, 2), [1.0, 11.0, 1.0, 1.0, 11.0]
    )
    np.testing.assert_allclose(group_means(HOST, values, 1), np.full(5, 5.0))
    np.testing.assert_allclose(group_means(HOST, values, 5), values)
    np.testing.assert_allclose(group_means(HOST, np.ones(3), 2), np.ones(3))


def test_absent_numbers_are_removed_numbers():
    generator = np.random.default_rng(0)
    for num_groups in (1, 2, 3):
        for _ in range(10):
            values = generator.exponential(size=6)
            mask = generator.permutation([1.0, 1, 1, 1, 0, 0])
            means = group_means(HOST, values, num_groups, mask)
            np.testing.assert_allclose(
                means[mask > 0],
                group_means(HOST, values[mask > 0], num_groups),
            )
            np.testing.assert_array_equal(means[mask == 0], 0)
    np.testing.assert_array_equal(
        group_means(HOST, np.ones(3), 2, np.zeros(3)), np.zeros(3)
    )


def test_graph_equals_host():
    in_graph = compiled(
        lambda values, mask: group_means(Graph(1.2e-7), values, 3, mask)
    )
    generator = np.random.default_rng(0)
    for scale in (1e-20, 1.0, 1e25):
        for mask in (np.ones(5), np.array([1.0, 0, 1, 1, 0]), np.zeros(5)):
            values = generator.exponential(size=5) * scale
            actual = in_graph(
                tensor(values, "float32"), tensor(mask, "float32")
            )
            np.testing.assert_allclose(
                numpy(actual), group_means(HOST, values, 3, mask), rtol=1e-5
            )
