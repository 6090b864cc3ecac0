"""Lengths that updates have by definition, however alike the gradients are.

In float32, for rows near a line or plane, where the Gramian is known up to
errors as large as its small eigenvalues.
"""

import numpy as np
import pytest
from keras import ops

from keras_mtl import aggregators
from tests.backend_tools import graph_aggregator
from tests.backend_tools import numpy
from tests.backend_tools import tensor

NOISES = (1e-3, 1e-4, 1e-5, 1e-7)


def mean_length(rows):
    return np.linalg.norm(rows.mean(0))


def largest_lengths(rows, update):
    """By method: a length, and what it may be at most."""
    norms = np.linalg.norm(rows, axis=1)
    length = np.linalg.norm(update)
    mean = rows.mean(0)
    top = np.linalg.norm(rows, 2)
    return {
        "upgrad": (length, norms.mean()),
        "dual_proj": (length, mean_length(rows)),
        "cagrad": (np.linalg.norm(update - mean), 0.4 * mean_length(rows)),
        "conicgrad": (length, mean_length(rows)),
        "mgda": (length, norms.min()),
        "nash_mtl": (length, 1.0),
        "fairgrad": (length, np.sqrt(len(rows))),
        "aligned_mtl": (length, top / np.sqrt(len(rows))),
        "config": (length, norms.sum()),
        "pcd": (length, norms[0]),
    }


METHODS = tuple(largest_lengths(np.eye(2), np.ones(2)))


def make(name):
    if name == "cagrad":
        return aggregators.CAGrad(c=0.4, rescale=0)
    return aggregators.get(name)


def matrices(num_tasks, count):
    """Yields float32 rows of ranks 1 to 4, up to noise.

    A third are any, a third orthogonal to a positive vector, so that no
    direction serves all, and a third to the vector of ones: their mean is
    noise.
    """
    rng = np.random.default_rng(num_tasks)
    for place in range(count):
        rank, noise = 1 + place % 4, NOISES[place // 4 % 4]
        shares = rng.normal(size=(num_tasks, rank))
        if place % 3:
            normal = np.ones(num_tasks)
            if place % 3 == 1:
                normal += np.abs(rng.normal(size=num_tasks))
            normal /= np.linalg.norm(normal)
            shares -= np.outer(normal, normal @ shares)
        rows = shares @ rng.normal(size=(rank, 80))
        yield np.float32(rows + noise * rng.normal(size=rows.shape))


def check(name, rows, update):
    """Compares an update with what its length may be."""
    update, rows = numpy(update), np.float64(rows)
    length, most = largest_lengths(rows, update)[name]
    # What is left where rows cancel is known up to rounding errors.
    error = 4e-7 * np.linalg.norm(rows, axis=1).mean()
    assert length <= 1.03 * most + error, (name, length, most)
    if name == "conicgrad" and mean_length(rows) > 10 * error:
        cosine = update @ rows.mean(0) / length / mean_length(rows)
        assert cosine >= 0.49


def check_all(name, num_tasks, count):
    aggregator = make(name)
    for rows in matrices(num_tasks, count):
        if aggregator.built:
            aggregator.state_reset()
        check(name, rows, aggregator(tensor(rows)))


@pytest.mark.parametrize("num_tasks, count", [(2, 16), (8, 48), (24, 24)])
@pytest.mark.parametrize("name", METHODS)
def test_no_update_is_too_long(name, num_tasks, count):
    check_all(name, num_tasks, count)


@pytest.mark.parametrize(
    "name",
    [
        "upgrad",
        "dual_proj",
        "cagrad",
        pytest.param("conicgrad", marks=pytest.mark.slow),
    ],
)
def test_no_update_of_a_graph_is_too_long(name, monkeypatch):
    aggregator = make(name)
    aggregator.build([(20, 80)], "float32")
    graph = graph_aggregator(aggregator, monkeypatch)
    for rows in matrices(20, 12):
        check(name, rows, graph(tensor(rows)))


@pytest.mark.slow
@pytest.mark.parametrize("num_tasks", [12, 40, 64])
@pytest.mark.parametrize("name", METHODS)
def test_no_update_of_many_is_too_long(name, num_tasks):
    check_all(name, num_tasks, 240)


@pytest.mark.parametrize("num_tasks", [2, 8, 24])
def test_weights_of_a_convex_hull(num_tasks):
    mgda = aggregators.MGDA()
    for rows in matrices(num_tasks, 24):
        weights = numpy(mgda.compute_weights(tensor(rows @ rows.T)))
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-5)


@pytest.mark.parametrize("num_tasks", [2, 8, 24])
def test_weights_of_equal_projections(num_tasks):
    imtl_g = aggregators.IMTLG()
    for rows in matrices(num_tasks, 24):
        gramian = ops.convert_to_tensor(rows @ rows.T)
        weights = numpy(imtl_g.compute_weights(gramian))
        error = 1e-5 * max(1.0, np.abs(weights).sum())
        assert min(abs(weights.sum() - 1), np.abs(weights).max()) < error
