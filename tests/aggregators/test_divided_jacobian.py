"""Rows of whose entries each replica has some."""

import numpy as np
import pytest
from keras import ops

from keras_mtl import aggregators
from keras_mtl import backend
from keras_mtl.gradients.divided import DividedJacobian
from keras_mtl.gradients.jacobian import Jacobian
from tests.backend_tools import numpy
from tests.backend_tools import tensor

ROWS = np.array([[3.0, 0.1], [0.2, 5.0], [1.0, 1.0]], "float32")
OTHERS = np.array([[1.0, -2.0], [0.5, 0.3], [-1.0, 4.0]], "float32")

QUESTIONS = {
    "gramian": lambda one, other: one.gramian(),
    "squared_norms": lambda one, other: one.squared_norms(),
    "cross_gramian": lambda one, other: one.cross_gramian(other),
    "row_products": lambda one, other: one.row_products(other),
    "of_a_difference": lambda one, other: (one - other).squared_norms(),
    "of_scaled_rows": lambda one, other: one.scaled(ops.arange(3)).gramian(),
}


def jacobians(kind, columns):
    return [kind(stacks=[tensor(rows[:, columns])]) for rows in (ROWS, OTHERS)]


@pytest.mark.parametrize("question", QUESTIONS)
def test_sums_over_entries_are_those_of_all_replicas(question, monkeypatch):
    ask = QUESTIONS[question]
    parts = [
        numpy(ask(*jacobians(Jacobian, columns)))
        for columns in (slice(0, 1), slice(1, 2))
    ]

    def sum_over_replicas(tensors):
        # What each of two replicas gets from the other.
        assert any(np.allclose(numpy(tensors[0]), part) for part in parts)
        return [tensor(parts[0] + parts[1])]

    monkeypatch.setattr(backend, "sum_over_replicas", sum_over_replicas)
    whole = numpy(ask(*jacobians(Jacobian, slice(0, 2))))
    for columns in (slice(0, 1), slice(1, 2)):
        found = numpy(ask(*jacobians(DividedJacobian, columns)))
        np.testing.assert_allclose(found, whole, rtol=1e-5)


def test_methods_weigh_by_norms_of_the_whole_batch(monkeypatch):
    squares = tensor(np.sum(ROWS**2, axis=1))
    gramian = tensor(ROWS @ ROWS.T)
    monkeypatch.setattr(
        backend,
        "sum_over_replicas",
        lambda tensors: [gramian if len(tensors[0].shape) == 2 else squares],
    )

    def weights(kind, columns):
        jacobian = kind(stacks=[tensor(ROWS[:, columns])])
        aggregators.DBMTL(beta=0.0).aggregate(jacobian)
        return numpy(jacobian.row_weights)

    whole = weights(Jacobian, slice(0, 2))
    for columns in (slice(0, 1), slice(1, 2)):
        part = weights(DividedJacobian, columns)
        np.testing.assert_allclose(part, whole, rtol=1e-5)
