import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases


@pytest.mark.parametrize("name", ["Mean", "Sum", "Constant"])
def test_golden_values(name):
    for label, rows, _, get, _ in cases("linear", f"torchjd.{name}"):
        if name == "Constant":
            weights = np.arange(1.0, len(rows) + 1)
            aggregator = aggregators.Constant(weights / weights.sum())
        else:
            aggregator = getattr(aggregators, name)()
        update = aggregator(tensor(rows))
        scale = np.linalg.norm(rows, axis=1).max()
        tolerance = by_dtype(update, 1e-12, 1e-5)
        assert_near(numpy(update), get("vector"), tolerance, scale, label)


def test_row_weights():
    mask = tensor([1.0, 0.0, 1.0], "float32")
    for aggregator, weights, masked in (
        (aggregators.Mean(), [1 / 3] * 3, [0.5, 0, 0.5]),
        (aggregators.Sum(), [1, 1, 1], [1, 0, 1]),
        (aggregators.Constant([1, 2, -3]), [1, 2, -3], [1, 0, -3]),
    ):
        assert aggregator.linear
        np.testing.assert_allclose(
            numpy(aggregator.compute_row_weights(3)), weights, rtol=1e-6
        )
        np.testing.assert_allclose(
            numpy(aggregator.compute_row_weights(3, mask)), masked, rtol=1e-6
        )
        gramian = tensor(np.eye(3), "float32")
        np.testing.assert_allclose(
            numpy(aggregator.compute_weights(gramian, mask=mask)),
            masked,
            rtol=1e-6,
        )
    assert not aggregators.MGDA().linear


def test_no_gramian_is_computed(monkeypatch):
    def refuse(self):
        raise AssertionError("not needed")

    monkeypatch.setattr(aggregators.Jacobian, "gramian", refuse)
    update = aggregators.Mean()([[1.0, 0.0], [0.0, 3.0]])
    np.testing.assert_allclose(numpy(update), [0.5, 1.5])


@pytest.mark.parametrize("weights", [[], [1.0, float("nan")], "ab", 3.0])
def test_wrong_weights(weights):
    with pytest.raises(ValueError, match="Received: weights="):
        aggregators.Constant(weights)


def test_wrong_number_of_weights():
    with pytest.raises(ValueError, match="2 entries for 3 tasks"):
        aggregators.Constant([1.0, 2.0])(np.ones((3, 4), "float32"))


def test_base_class_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="compute_row_weights"):
        aggregators.LinearAggregator()(np.ones((3, 4), "float32"))
