import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases


@pytest.mark.parametrize("trim_number", [1, 2])
def test_golden_values(trim_number):
    count = 0
    variant = f"torchjd.TrimmedMean.t{trim_number}"
    for label, rows, _, get, slack in cases("trimmedmean", variant):
        if len(rows) <= 2 * trim_number:
            continue
        update = aggregators.TrimmedMean(trim_number)(tensor(rows))
        tolerance = by_dtype(update, max(1e-12, slack), 1e-5)
        scale = np.linalg.norm(rows, axis=1).max()
        assert_near(numpy(update), get("vector"), tolerance, scale, label)
        count += 1
    assert count == (45 if trim_number == 1 else 27)


def test_without_trimming_it_is_the_mean():
    rows = np.random.default_rng(0).normal(size=(4, 6))
    update = aggregators.TrimmedMean(0)(tensor(rows))
    np.testing.assert_allclose(numpy(update), rows.mean(axis=0), rtol=1e-5)


def test_one_bad_gradient_does_no_harm():
    rows = np.random.default_rng(0).normal(size=(5, 6))
    bad = rows.copy()
    bad[3] = 1e12
    update = numpy(aggregators.TrimmedMean()(tensor(bad)))
    others = np.delete(rows, 3, axis=0)
    assert (update <= others.max(axis=0)).all()
    assert (update >= others.min(axis=0)).all()


@pytest.mark.parametrize("left", [1, 2, 3, 4, 5])
def test_absent_tasks(left):
    rows = np.random.default_rng(left).normal(size=(7, 6))
    mask = np.zeros(7)
    mask[:left] = 1
    mask = np.random.default_rng(left).permutation(mask)
    update = numpy(aggregators.TrimmedMean(2)(tensor(rows), mask=tensor(mask)))
    ordered = np.sort(rows[mask > 0], axis=0)
    trim = min(2, (left - 1) // 2)
    expected = ordered[trim : left - trim].mean(axis=0)
    np.testing.assert_allclose(update, expected, rtol=1e-5)


def test_wrong_arguments():
    for trim_number in (-1, 1.0, "a", True):
        with pytest.raises(ValueError, match=f"Received: trim_.*{trim_number}"):
            aggregators.TrimmedMean(trim_number)
    with pytest.raises(ValueError, match="needs at least 5 tasks"):
        aggregators.TrimmedMean(2)(np.ones((4, 3), "float32"))
