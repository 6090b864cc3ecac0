import keras
import numpy as np
import pytest

from keras_mtl.solvers.namespace import HOST
from keras_mtl.solvers.namespace import Graph
from keras_mtl.solvers.random_numbers import random_normal
from keras_mtl.solvers.random_numbers import random_orders
from keras_mtl.solvers.random_numbers import random_uniform
from tests.backend_tools import compiled
from tests.backend_tools import numpy

#: Seed 42, counters 0 and 1, four tasks. Not to change: results of seeded
#: runs depend on them.
EXPECTED = [
    [[0, 1, 3, 2], [1, 3, 2, 0], [1, 0, 3, 2], [2, 1, 0, 3]],
    [[0, 3, 1, 2], [2, 3, 0, 1], [1, 3, 0, 2], [3, 2, 1, 0]],
]


def draw(seed, counter, num_tasks):
    return random_orders(HOST, np.array([seed, counter]), num_tasks)


@pytest.mark.parametrize("num_tasks", [1, 2, 3, 8, 40])
def test_rows_are_permutations(num_tasks):
    orders = draw(7, 3, num_tasks)
    np.testing.assert_array_equal(
        np.sort(orders, axis=1), np.tile(np.arange(num_tasks), (num_tasks, 1))
    )


@pytest.mark.parametrize("num_tasks", [1, 2, 4, 5, 40])
def test_equal_numbers_leave_the_tasks_in_their_order(num_tasks, monkeypatch):
    # Whatever the numbers are, or a sort does with ties.
    for number in (0, -1, 0x5A5A5A5A):
        monkeypatch.setattr(
            "keras_mtl.solvers.random_numbers._keys",
            lambda xp, seed, size, number=number: np.full(
                size, number, "int32"
            ),
        )
        np.testing.assert_array_equal(
            draw(1, 2, num_tasks),
            np.tile(np.arange(num_tasks), (num_tasks, 1)),
        )


def test_the_same_values_everywhere():
    np.testing.assert_array_equal(draw(42, 0, 4), EXPECTED[0])
    np.testing.assert_array_equal(draw(42, 1, 4), EXPECTED[1])


def test_graph_equals_host():
    generator = keras.random.SeedGenerator(42)
    in_graph = compiled(lambda seed: random_orders(Graph(1.2e-7), seed, 4))
    for counter in range(2):
        seed = generator.next()
        np.testing.assert_array_equal(
            numpy(random_orders(Graph(1.2e-7), seed, 4)), EXPECTED[counter]
        )
        np.testing.assert_array_equal(numpy(in_graph(seed)), EXPECTED[counter])


@pytest.mark.parametrize("vary", ["seed", "counter"])
def test_all_orders_are_equally_likely(vary):
    counts = {}
    draws = 2000
    for number in range(draws):
        pair = (number, 5) if vary == "seed" else (5, number)
        for order in draw(*pair, 3):
            counts[tuple(order)] = counts.get(tuple(order), 0) + 1
    assert len(counts) == 6
    expected = draws * 3 / 6
    statistic = sum((c - expected) ** 2 / expected for c in counts.values())
    # The 99.99 % quantile of chi-square with 5 degrees of freedom.
    assert statistic < 25.7


def test_rows_are_independent():
    same = [
        (orders[0] == orders[1]).all()
        for orders in (draw(1, counter, 3) for counter in range(3000))
    ]
    assert abs(np.mean(same) - 1 / 6) < 0.03


def test_large_seeds():
    big = draw(2**31 - 1, 2**20, 5)
    np.testing.assert_array_equal(np.sort(big, axis=1)[0], np.arange(5))
    unsigned = np.array([2**31 + 5, 1], dtype="uint32")
    assert random_orders(HOST, unsigned, 5).shape == (5, 5)


@pytest.mark.parametrize("draw_numbers", [random_uniform, random_normal])
def test_numbers_of_a_graph_equal_those_of_the_host(draw_numbers):
    generator = keras.random.SeedGenerator(42)
    in_graph = compiled(
        lambda seed: draw_numbers(Graph(1.2e-7), seed, 7, "float32")
    )
    for counter in range(2):
        np.testing.assert_allclose(
            numpy(in_graph(generator.next())),
            draw_numbers(HOST, np.array([42, counter]), 7, "float64"),
            rtol=1e-4,
            atol=1e-6,
        )


def test_distributions():
    from scipy import stats

    seed = np.array([3, 5])
    uniform = random_uniform(HOST, seed, 20000, "float64")
    assert 0 < uniform.min() and uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > 0.01
    normal = random_normal(HOST, seed, 20000, "float64")
    assert stats.kstest(normal, "norm").pvalue > 0.01
    # Neither neighbours nor following counters are related.
    following = random_uniform(HOST, np.array([3, 6]), 20000, "float64")
    for other in (np.roll(uniform, 1), following):
        assert abs(np.corrcoef(uniform, other)[0, 1]) < 0.02
