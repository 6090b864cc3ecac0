import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import graph_aggregator
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases


def largest_norm(rows):
    return np.linalg.norm(rows, axis=1).max()


def test_golden_values():
    for label, rows, _, get, _ in cases("mgda", "exact"):
        update = aggregators.MGDA()(tensor(rows))
        # Of a combination that cancels, float32 keeps half the digits.
        tolerance = by_dtype(update, 1e-9, 1e-3)
        assert_near(
            numpy(update), get("vector"), tolerance, largest_norm(rows), label
        )


def test_golden_values_in_a_graph(monkeypatch):
    aggregate = graph_aggregator(aggregators.MGDA(), monkeypatch)
    count = 0
    for label, rows, _, get, _ in cases("mgda", "exact"):
        # One shape: each is compiled anew.
        if rows.shape != (8, 10):
            continue
        update = numpy(aggregate(tensor(rows, "float32")))
        assert_near(update, get("vector"), 1e-4, largest_norm(rows), label)
        count += 1
    assert count >= 8


@pytest.mark.parametrize("normalization", ["l2", "loss", "loss+"])
def test_normalizations(normalization):
    """Against a solver that stops early: loosely."""
    count = 0
    skip = ("tiny_scale", "low_rank", "conflicting", "all_equal")
    variant = f"LibMTL.MGDA.{normalization}"
    for label, rows, losses, get, _ in cases("mgda", variant, skip):
        update = aggregators.MGDA(normalization)(
            tensor(rows), losses=tensor(losses)
        )
        scales = np.ones(len(rows))
        if normalization != "l2":
            scales /= losses
        if normalization != "loss":
            scales /= np.linalg.norm(rows, axis=1)
        scale = largest_norm(rows * scales[:, None])
        assert_near(numpy(update), get("vector"), 3e-2, scale, label)
        count += 1
    assert count > 25


@pytest.mark.parametrize("normalization", ["l2", "loss", "loss+"])
def test_combines_normalised_gradients(normalization):
    generator = np.random.default_rng(0)
    rows, losses = generator.normal(size=(4, 9)), generator.uniform(1, 5, 4)
    scaled = rows.copy()
    if normalization != "l2":
        scaled /= losses[:, None]
    if normalization != "loss":
        scaled /= np.linalg.norm(rows, axis=1, keepdims=True)
    update = aggregators.MGDA(normalization)(
        tensor(rows), losses=tensor(losses)
    )
    np.testing.assert_allclose(
        numpy(update), numpy(aggregators.MGDA()(tensor(scaled))), rtol=1e-4
    )


def test_two_tasks_by_hand():
    update = aggregators.MGDA()([[1.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(numpy(update), [0.8, 0.4], rtol=1e-6)
    # The shorter one alone, where it lies below the other.
    update = aggregators.MGDA()([[1.0, 0.0], [3.0, 1.0]])
    np.testing.assert_allclose(numpy(update), [1.0, 0.0], atol=1e-6)


def test_a_zero_row_stops_all():
    rows = np.random.default_rng(0).normal(size=(3, 4))
    rows[1] = 0
    for normalization in (None, "l2"):
        update = aggregators.MGDA(normalization)(tensor(rows))
        np.testing.assert_array_equal(numpy(update), np.zeros(4))


def test_tiny_losses_are_finite():
    rows = np.random.default_rng(0).normal(size=(3, 4))
    losses = tensor([1.0, 0.0, 1e-30], "float32")
    for normalization in ("loss", "loss+"):
        update = aggregators.MGDA(normalization)(
            tensor(rows, "float32"), losses=losses
        )
        assert np.isfinite(numpy(update)).all()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="Received: normalization=l1"):
        aggregators.MGDA("l1")
    with pytest.raises(ValueError, match="needs the task losses"):
        aggregators.MGDA("loss")(np.ones((2, 3), "float32"))
