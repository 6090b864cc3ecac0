import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases

HARD_IN_FLOAT32 = ("near_collinear", "huge_task")


@pytest.mark.parametrize("variant", ["torchjd.IMTLG", "LibMTL.IMTL"])
def test_golden_values(variant):
    # The closed form differs where rows are dependent: there, TorchJD only.
    skip = ("zero_row", "low_rank", "all_equal", "opposed")
    skip = skip if variant.startswith("LibMTL") else ()
    count = 0
    for label, rows, _, get, slack in cases("imtlg", variant, skip):
        if variant.startswith("LibMTL") and len(rows) > rows.shape[1]:
            continue
        update = aggregators.IMTLG()(tensor(rows))
        if by_dtype(update, 64, 32) == 32 and label.endswith(HARD_IN_FLOAT32):
            continue
        if by_dtype(update, 64, 32) == 32 and slack > 1e-12:
            continue
        tolerance = by_dtype(update, max(3e-8, slack), 1e-3)
        if label.startswith("LibMTL") and label.endswith("huge_task"):
            tolerance = max(tolerance, 1e-5)
        assert_near(numpy(update), get("vector"), tolerance, label=label)
        count += 1
    assert count > 15


def test_equal_projections():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(6, 40)) * 10.0 ** np.arange(-3, 3)[:, None]
    update = aggregators.IMTLG()(tensor(rows))
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    projections = units @ numpy(update)
    np.testing.assert_allclose(
        projections / projections.mean(), 1, rtol=by_dtype(update, 1e-9, 1e-3)
    )


def test_zero_rows_are_left_out():
    rows = np.random.default_rng(0).normal(size=(3, 9))
    padded = np.vstack([rows[:1], np.zeros((1, 9)), rows[1:]])
    np.testing.assert_allclose(
        numpy(aggregators.IMTLG()(tensor(padded))),
        numpy(aggregators.IMTLG()(tensor(rows))),
        rtol=1e-4,
    )


def test_opposed_gradients_give_zero():
    update = aggregators.IMTLG()([[1.0, 2.0], [-1.0, -2.0]])
    np.testing.assert_array_equal(numpy(update), [0, 0])
