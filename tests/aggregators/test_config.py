import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases

# Nearly parallel unit rows differ by what float32 leaves of the Gramian.
HARD_IN_FLOAT32 = ("near_collinear", "huge_task")


@pytest.mark.parametrize("suffix", ["", ".pref"])
def test_golden_values(suffix):
    count = 0
    for label, rows, _, get, slack in cases(
        "config", f"torchjd.ConFIG{suffix}"
    ):
        preference = np.arange(1.0, len(rows) + 1) if suffix else None
        update = aggregators.ConFIG(preference)(tensor(rows))
        if by_dtype(update, 64, 32) == 32 and label.endswith(HARD_IN_FLOAT32):
            continue
        # Dependent rows: the reference takes the pseudo-inverse of the rows,
        # whose rounding errors are those of the Gramian's, or its root.
        tolerance = by_dtype(update, max(1e-8, slack), 1e-3)
        assert_near(numpy(update), get("vector"), tolerance, label=label)
        count += 1
    assert count >= by_dtype(update, 50, 35)


def test_projections_are_proportional_to_the_preference():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(5, 30)) * 10.0 ** np.arange(-2, 3)[:, None]
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    preference = np.array([1.0, 2.0, 0.5, 0.0, 3.0])
    update = aggregators.ConFIG(preference)(tensor(rows))
    projections = units @ numpy(update)
    tolerance = by_dtype(update, 1e-9, 1e-3)
    np.testing.assert_allclose(
        projections / projections[0],
        preference,
        rtol=tolerance,
        atol=tolerance,
    )
    # The length is the sum of the projections of the rows.
    length = np.linalg.norm(numpy(update))
    np.testing.assert_allclose(
        (rows @ numpy(update)).sum() / length, length, rtol=tolerance
    )


def test_a_common_factor_of_the_preference_makes_no_difference():
    rows = np.random.default_rng(0).normal(size=(3, 7))
    np.testing.assert_allclose(
        numpy(aggregators.ConFIG([5, 5, 5])(tensor(rows))),
        numpy(aggregators.ConFIG()(tensor(rows))),
        rtol=1e-5,
    )


def test_zero_rows_are_left_out():
    rows = np.random.default_rng(0).normal(size=(3, 9))
    padded = np.vstack([rows[:1], np.zeros((1, 9)), rows[1:]])
    np.testing.assert_allclose(
        numpy(aggregators.ConFIG()(tensor(padded))),
        numpy(aggregators.ConFIG()(tensor(rows))),
        rtol=1e-4,
    )


def test_opposed_gradients_give_zero():
    update = aggregators.ConFIG()([[1.0, 2.0], [-1.0, -2.0]])
    np.testing.assert_array_equal(numpy(update), [0, 0])


def test_wrong_arguments():
    for preference in ([-1.0, 2.0], [0.0, 0.0], [float("inf")], 2.0):
        with pytest.raises(ValueError, match="`preference`"):
            aggregators.ConFIG(preference)
    with pytest.raises(ValueError, match="2 .* for 3 tasks"):
        aggregators.ConFIG([1, 1])(np.ones((3, 4), "float32"))
