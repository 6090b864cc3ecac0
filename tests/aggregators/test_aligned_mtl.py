import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases

# The smallest eigenvalue decides: float32 loses it in these.
HARD_IN_FLOAT32 = ("near_collinear", "huge_task", "conflicting")


def ranks(num_tasks):
    values = np.arange(1.0, num_tasks + 1)
    return values / values.sum()


@pytest.mark.parametrize("suffix", ["", ".pref"])
@pytest.mark.parametrize("mode", ["min", "median", "rmse"])
def test_golden_values(mode, suffix):
    count = 0
    variant = f"torchjd.AlignedMTL.{mode}{suffix}"
    for label, rows, _, get, slack in cases("alignedmtl", variant):
        preference = ranks(len(rows)) if suffix else None
        aligned_mtl = aggregators.AlignedMTL(mode, preference)
        update = aligned_mtl(tensor(rows))
        if by_dtype(update, 64, 32) == 32 and label.endswith(HARD_IN_FLOAT32):
            continue
        tolerance = by_dtype(update, max(1e-8, slack), 2e-3)
        if label.endswith("huge_task"):
            # One eigenvalue is 1e8 times the others, which are exact to the
            # rounding error of the largest.
            tolerance = max(tolerance, 1e-7)
        scale = None
        if label.endswith("opposed"):
            # What is left of the sum is rounding noise.
            scale = np.linalg.norm(rows, axis=1).max()
        assert_near(numpy(update), get("vector"), tolerance, scale, label)
        count += 1
    assert count >= by_dtype(update, 60, 35)


@pytest.mark.parametrize("mode", ["min", "median", "rmse"])
def test_the_aligned_rows_are_orthogonal(mode):
    rows = np.random.default_rng(0).normal(size=(4, 9))
    # With one task preferred, the update is its aligned row.
    aligned = np.stack(
        [
            numpy(aggregators.AlignedMTL(mode, unit)(tensor(rows)))
            for unit in np.eye(4)
        ]
    )
    squares = np.linalg.svd(rows, compute_uv=False) ** 2
    expected = {
        "min": squares.min(),
        "median": np.sort(squares)[1],
        "rmse": squares.mean(),
    }[mode]
    np.testing.assert_allclose(
        aligned @ aligned.T, expected * np.eye(4), atol=1e-5 * expected
    )


def test_the_median_is_of_the_eigenvalues_that_are_not_zero():
    rows = np.zeros((4, 6))
    rows[0, 0], rows[1, 1], rows[3, 2] = 1.0, 2.0, 5.0
    update = numpy(aggregators.AlignedMTL("median", np.ones(4))(tensor(rows)))
    np.testing.assert_allclose(update, [2, 2, 2, 0, 0, 0], rtol=1e-5)


def test_a_preference_is_not_normalised():
    rows = np.random.default_rng(0).normal(size=(3, 7))
    default = numpy(aggregators.AlignedMTL()(tensor(rows)))
    ones = numpy(aggregators.AlignedMTL(preference=[1, 1, 1])(tensor(rows)))
    np.testing.assert_allclose(ones, 3 * default, rtol=1e-4, atol=1e-6)


def test_absent_tasks_with_a_preference():
    rows = np.random.default_rng(0).normal(size=(4, 7))
    mask = tensor(np.array([1.0, 0.0, 1.0, 1.0]))
    kept = [0, 2, 3]
    masked = aggregators.AlignedMTL(preference=[1, 2, 3, 4])
    removed = aggregators.AlignedMTL(preference=[1, 3, 4])
    np.testing.assert_allclose(
        numpy(masked(tensor(rows), mask=mask)),
        numpy(removed(tensor(rows[kept]))),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"scale_mode": "max"}, r"\('min', 'median', 'rmse'\).*Received.*max"),
        ({"preference": [-1.0, 2.0]}, "`preference`"),
        ({"preference": [0.0, 0.0]}, "not all of them 0"),
        ({"preference": 1.0}, "`preference`"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        aggregators.AlignedMTL(**arguments)


def test_wrong_number_of_preferences():
    with pytest.raises(ValueError, match="2 .* for 3 tasks"):
        aggregators.AlignedMTL(preference=[1, 1])(np.ones((3, 4), "float32"))
