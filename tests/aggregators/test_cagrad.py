import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import graph_aggregator
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases

HARD_IN_FLOAT32 = ("near_collinear", "huge_task", "low_rank", "zero_row")


@pytest.mark.parametrize("c", [0.4, 0.5])
def test_golden_values(c):
    aggregator = aggregators.CAGrad(c, rescale=0)
    for label, rows, _, get, _ in cases("cagrad", f"exact.c{c}"):
        update = aggregator(tensor(rows))
        if by_dtype(update, 64, 32) == 32 and label.endswith(HARD_IN_FLOAT32):
            continue
        tolerance = by_dtype(update, 1e-6, 1e-3)
        assert_near(numpy(update), get("vector"), tolerance, label=label)


def test_golden_values_in_a_graph(monkeypatch):
    aggregate = graph_aggregator(
        aggregators.CAGrad(0.4, rescale=0), monkeypatch
    )
    count = 0
    for label, rows, _, get, _ in cases("cagrad", "exact.c0.4"):
        # One shape: each is compiled anew.
        if rows.shape != (8, 10):
            continue
        update = aggregate(tensor(rows, "float32"))
        assert_near(numpy(update), get("vector"), 1e-4, label=label)
        count += 1
    assert count >= 4


@pytest.mark.parametrize(
    "variant, c, rescale, tolerance",
    [
        ("torchjd.CAGrad.c0.5", 0.5, 0, 5e-4),
        ("LibMTL.CAGrad.c0.4.rescale0", 0.4, 0, 1e-2),
        ("LibMTL.CAGrad.c0.4.rescale1", 0.4, 1, 1e-2),
        ("LibMTL.CAGrad.c0.4.rescale2", 0.4, 2, 1e-2),
    ],
)
def test_published_code(variant, c, rescale, tolerance):
    """Against solvers that stop early: loosely, and not on hard cases."""
    skip = ("huge_task", "tiny_scale", "zero_row", "opposed", "large_scale")
    aggregator = aggregators.CAGrad(c, rescale)
    for label, rows, _, get, _ in cases("cagrad", variant, skip):
        update = numpy(aggregator(tensor(rows)))
        assert_near(update, get("vector"), tolerance, label=label)


def test_wrong_arguments():
    for c in (-0.1, float("nan"), float("inf"), "0.4"):
        with pytest.raises(ValueError, match=f"Received: c={c}"):
            aggregators.CAGrad(c)
    with pytest.raises(ValueError, match="Received: rescale=3"):
        aggregators.CAGrad(rescale=3)
