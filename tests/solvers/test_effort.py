"""How many linear systems solvers take: loops end when they may."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_mtl.solvers.common_direction import common_direction_weights
from keras_mtl.solvers.cone_direction import cone_direction_weights
from keras_mtl.solvers.fair import fair_weights
from keras_mtl.solvers.namespace import HOST
from keras_mtl.solvers.nonnegative import solve_nonnegative


def gramians():
    generator = np.random.default_rng(0)
    for num_tasks in (2, 4, 8):
        for _ in range(20):
            rows = generator.normal(size=(num_tasks, 20))
            yield rows @ rows.T


def systems(solve):
    """The most systems that a Gramian took."""
    counts = []

    def counted(matrix, target):
        counts[-1] += 1
        return HOST.solve_positive(matrix, target)

    xp = SimpleNamespace(**{**vars(HOST), "solve_positive": counted})
    for gramian in gramians():
        counts.append(0)
        solve(xp, gramian)
    return max(counts)


@pytest.mark.parametrize(
    "solve, most",
    [
        # Newton's method of Nash's conditions, of at most 60 steps and 4.
        (lambda xp, g: fair_weights(xp, g, 1.0), 10),
        # Three to five from no start, and one of refinement.
        (lambda xp, g: solve_nonnegative(xp, g, np.ones(len(g))), 6),
        # Some levels, each with a problem of the former kind.
        (lambda xp, g: common_direction_weights(xp, g, 0.4), 24),
        (lambda xp, g: cone_direction_weights(xp, g, 0.95), 20),
    ],
    ids=["fair", "nonnegative", "common_direction", "cone_direction"],
)
def test_random_gradients_take_few_systems(solve, most):
    assert 1 < systems(solve) <= most
