import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_mtl.metrics import hypervolume

SIDE = 4


def fronts(dimension, most):
    point = st.tuples(*[st.integers(-1, SIDE + 1)] * dimension)
    return st.lists(point, max_size=most)


def count_cells(points, dimension):
    """Counts the unit cells of a grid that some point dominates."""
    lower = np.array(list(itertools.product(range(SIDE), repeat=dimension)))
    dominated = np.zeros(len(lower), dtype=bool)
    for point in points:
        # Only what is better than the reference in all objectives.
        if max(point) < SIDE:
            dominated |= (lower >= point).all(axis=1)
    return dominated.sum()


@settings(max_examples=60)
@given(st.data(), st.integers(1, 5))
def test_cells_of_a_grid(data, dimension):
    points = data.draw(fronts(dimension, 10))
    # What lies below the grid is cut off by it.
    points = [tuple(max(x, 0) for x in point) for point in points]
    found = hypervolume(points, [SIDE] * dimension)
    assert found == count_cells(points, dimension)


@settings(max_examples=60)
@given(st.data(), st.integers(1, 5))
def test_inclusion_and_exclusion(data, dimension):
    number = st.floats(0, 1, width=32)
    points = data.draw(st.lists(st.tuples(*[number] * dimension), max_size=6))
    expected = 0.0
    for size in range(1, len(points) + 1):
        for subset in itertools.combinations(points, size):
            overlap = math.prod(
                1 - max(column) for column in zip(*subset, strict=True)
            )
            expected += (-1) ** (size + 1) * overlap
    # Up to 64 terms of at most 1.
    assert hypervolume(points, np.ones(dimension)) == pytest.approx(
        expected, abs=1e-13
    )


def test_many_points_on_a_sphere():
    # The part of the cube outside of the ball: 1 - pi / 6, of which a front
    # of so many points misses little, and none too much.
    generator = np.random.default_rng(0)
    points = 1 - np.abs(generator.normal(size=(1500, 3)))
    points = 1 - (1 - points) / np.linalg.norm(1 - points, axis=1)[:, None]
    volume = hypervolume(points, np.ones(3))
    assert math.pi / 6 - 0.05 < volume < math.pi / 6


def test_directions():
    points = np.array([[0.9, 1.0], [0.7, 0.5]])
    expected = (0.9 - 0.5) * 1.0 + (0.7 - 0.5) * 0.5
    found = hypervolume(points, [0.5, 2.0], higher_is_better=[True, False])
    assert found == pytest.approx(expected, rel=1e-12)
    assert hypervolume(-points, [-0.5, 2.0]) == pytest.approx(
        hypervolume(points, [0.5, -2.0], higher_is_better=True), rel=1e-12
    )
    assert hypervolume([], [1.0, 1.0]) == 0.0
    assert hypervolume([[1.0, 2.0], [2.0, 1.0]], [3.0, 3.0]) == 3.0


@pytest.mark.parametrize(
    "points, reference, higher, message",
    [
        ([[1.0]], 1.0, False, "one number per objective"),
        ([[1.0]], [1.0, 2.0], False, r"must have shape \(n, 2\)"),
        ([1.0, 2.0], [1.0, 2.0], False, r"Received shape: \(2,\)"),
        ([[np.nan, 1.0]], [1.0, 2.0], False, "Leave out solutions"),
        ([[1.0, 1.0]], [np.inf, 2.0], False, "must be finite"),
        ([[1.0, 1.0]], [2.0, 2.0], [True], "a bool, or one per objective"),
        ([[1.0, 1.0]], [2.0, 2.0], 1, "Received: higher_is_better=1"),
    ],
)
def test_wrong_arguments(points, reference, higher, message):
    with pytest.raises(ValueError, match=message):
        hypervolume(points, reference, higher)
