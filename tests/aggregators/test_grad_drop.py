import numpy as np
import pytest

from keras_mtl import aggregators
from keras_mtl.aggregators.grad_drop import keep_one_sign
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases
from tests.golden_data import load


@pytest.mark.parametrize(
    "variant", ["torchjd.GradDrop", "torchjd.GradDrop.leak"]
)
def test_golden_values(variant):
    count = 0
    for label, rows, _, get, slack in cases("graddrop", variant):
        uniform = get("uniform")
        # A draw at the threshold itself: rounding decides.
        tied = np.abs(get("prob") - uniform) < 1e-6
        leak = get("leak")
        update = keep_one_sign(
            tensor(rows),
            tensor(uniform),
            tensor(leak),
            tensor(np.ones(len(rows))),
        )
        tolerance = by_dtype(update, max(1e-12, slack), 1e-5)
        scale = np.abs(rows).sum()
        assert tied.mean() < 0.1, label
        assert_near(
            np.where(tied, 0, numpy(update)),
            np.where(tied, 0, get("vector")),
            tolerance,
            scale,
            label,
        )
        count += 1
    assert count > 60


def test_golden_values_on_representations():
    # There, the sign of the representation turns those of its gradients, and
    # entries are summed over the batch before one sign is drawn.
    values = load("sequences_libmtl")
    count = 0
    for group in ("k2p10", "k3p10", "k5p10", "k8p10", "k3p2"):

        def get(entry, group=group):
            return values[f"LibMTL.GradDrop/{group}/{entry}"]

        for step, uniform in enumerate(get("uniform")):
            signs = np.sign(get("rep")[step])
            rows = (signs * get("per_grads")[step]).sum(axis=1)
            kept = keep_one_sign(
                tensor(rows),
                tensor(uniform),
                tensor(np.full(len(rows), 0.2)),
                tensor(np.ones(len(rows))),
            )
            expected = (signs * get("rep_grad")[step]).sum(axis=0)
            tolerance = by_dtype(kept, 1e-9, 1e-4)
            np.testing.assert_allclose(
                numpy(kept), expected, rtol=tolerance, atol=tolerance
            )
            count += 1
    assert count == 30


def test_every_entry_has_one_sign():
    rows = np.random.default_rng(0).normal(size=(4, 500))
    update = numpy(aggregators.GradDrop(seed=3)(tensor(rows)))
    positive = np.where(rows > 0, rows, 0).sum(axis=0)
    negative = np.where(rows < 0, rows, 0).sum(axis=0)
    is_positive = np.isclose(update, positive, rtol=1e-5)
    is_negative = np.isclose(update, negative, rtol=1e-5)
    assert (is_positive | is_negative).all()
    # The share of positive draws is the sign purity.
    purity = positive / (positive - negative)
    assert abs(is_positive.mean() - purity.mean()) < 0.05


def test_the_mean_is_unbiased_in_sign():
    # P = 0.75: three times out of four the positive gradient is kept.
    rows = tensor(np.tile([[3.0], [-1.0]], 20000))
    update = numpy(aggregators.GradDrop(seed=0)(rows))
    assert set(np.round(update, 6)) == {3.0, -1.0}
    assert abs((update > 0).mean() - 0.75) < 0.015


def test_leak():
    rows = np.random.default_rng(0).normal(size=(3, 50))
    for leak in (1.0, [1, 1, 1]):
        update = aggregators.GradDrop(leak, seed=1)(tensor(rows))
        np.testing.assert_allclose(
            numpy(update), rows.sum(axis=0), rtol=1e-4, atol=1e-6
        )
    dropped = numpy(aggregators.GradDrop(seed=1)(tensor(rows)))
    half = numpy(aggregators.GradDrop(0.5, seed=1)(tensor(rows)))
    np.testing.assert_allclose(
        half, (dropped + rows.sum(axis=0)) / 2, rtol=1e-4, atol=1e-6
    )
    one = numpy(aggregators.GradDrop([0.0, 1.0, 0.0], seed=1)(tensor(rows)))
    assert not np.allclose(one, dropped)


def test_variables_draw_apart():
    rows = tensor(np.tile([[1.0], [-1.0]], 100))
    first, second = aggregators.GradDrop(seed=1)([rows, rows])
    assert 0.3 < (numpy(first) == numpy(second)).mean() < 0.7


def test_seeds():
    rows = tensor(np.random.default_rng(0).normal(size=(3, 30)))

    def draws(seed):
        aggregator = aggregators.GradDrop(seed=seed)
        return [numpy(aggregator(rows)) for _ in range(3)]

    np.testing.assert_array_equal(draws(1), draws(1))
    assert not np.array_equal(draws(1)[0], draws(1)[1])
    assert not np.array_equal(draws(1), draws(2))


def test_wrong_arguments():
    for leak in (-0.1, 1.5, "a", [], [0.5, 2.0], float("nan"), True):
        with pytest.raises(ValueError, match="Argument `leak` must be"):
            aggregators.GradDrop(leak)
    with pytest.raises(ValueError, match="Received: seed=-1"):
        aggregators.GradDrop(seed=-1)
    with pytest.raises(ValueError, match="for 2 tasks"):
        aggregators.GradDrop([0.1, 0.2, 0.3])([[1.0], [2.0]])
