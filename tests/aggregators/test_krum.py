import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases


def scores(rows, num_byzantine):
    """The score of each row, by the letter."""
    distances = np.linalg.norm(rows[:, None] - rows[None, :], axis=-1)
    distances = np.sort(distances, axis=1)[:, 1:]
    return distances[:, : len(rows) - num_byzantine - 2].sum(axis=1)


@pytest.mark.parametrize(
    "num_byzantine, num_selected", [(0, 1), (1, 1), (1, 2)]
)
def test_golden_values(num_byzantine, num_selected):
    count = ties = 0
    variant = f"torchjd.Krum.b{num_byzantine}.s{num_selected}"
    for label, rows, _, get, _ in cases("krum", variant):
        if len(rows) < num_byzantine + 3:
            continue
        krum = aggregators.Krum(num_byzantine, num_selected)
        update = numpy(krum(tensor(rows)))
        tolerance = by_dtype(tensor(rows), 1e-12, 1e-5)
        ordered = np.sort(scores(rows, num_byzantine))
        gap = ordered[num_selected] - ordered[num_selected - 1]
        if gap <= by_dtype(tensor(rows), 1e-7, 1e-3) * ordered[-1]:
            # Rows of the same score, such as the nearest pair of three rows:
            # which is taken is a matter of definition.
            ties += 1
            chosen = krum.compute_weights(tensor(rows @ rows.T))
            chosen = np.flatnonzero(numpy(chosen))
            assert len(chosen) == num_selected
            limit = ordered[num_selected - 1] + 1e-3 * ordered[-1] + 1e-12
            assert (scores(rows, num_byzantine)[chosen] <= limit).all(), label
            continue
        assert_near(update, get("vector"), tolerance, label=label)
        count += 1
    assert (count, ties) >= (10, 0)
    assert count + ties >= (35 if num_byzantine == 0 else 20)


def test_an_outlier_is_left_out():
    generator = np.random.default_rng(0)
    rows = 1.0 + 0.1 * generator.normal(size=(7, 4))
    rows[2] = 1e6
    krum = aggregators.Krum(num_byzantine=1, num_selected=6)
    weights = krum.compute_weights(tensor(rows @ rows.T))
    assert numpy(weights)[2] == 0
    np.testing.assert_allclose(numpy(weights).sum(), 1, rtol=1e-6)


def test_ties_go_to_the_first_rows():
    rows = np.array([[9.0, 9.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    for num_selected, expected in ((1, [0, 1, 0, 0]), (2, [0, 0.5, 0.5, 0])):
        krum = aggregators.Krum(num_selected=num_selected)
        weights = krum.compute_weights(tensor(rows @ rows.T))
        np.testing.assert_array_equal(numpy(weights), expected)
    # Rounding errors of equal rows make no distance.
    row = np.random.default_rng(0).normal(size=50)
    rows = np.stack([row, row / 3 * 3, row, -row])
    weights = aggregators.Krum().compute_weights(tensor(rows @ rows.T))
    np.testing.assert_array_equal(numpy(weights), [1, 0, 0, 0])


def test_absent_tasks_are_removed_tasks():
    generator = np.random.default_rng(0)
    for _ in range(5):
        rows = generator.normal(size=(7, 4))
        present = np.sort(generator.permutation(7)[:5])
        mask = np.zeros(7)
        mask[present] = 1
        krum = aggregators.Krum(1, 2)
        np.testing.assert_allclose(
            numpy(krum(tensor(rows), mask=tensor(mask))),
            numpy(krum(tensor(rows[present]))),
            rtol=1e-6,
        )


def test_fewer_present_tasks_than_needed():
    rows = np.random.default_rng(0).normal(size=(4, 3))
    krum = aggregators.Krum(num_selected=3)
    one = krum(tensor(rows), mask=tensor(np.array([0.0, 0.0, 1.0, 0.0])))
    np.testing.assert_allclose(numpy(one), rows[2], rtol=1e-6)
    two = krum(tensor(rows), mask=tensor(np.array([0.0, 1.0, 1.0, 0.0])))
    np.testing.assert_allclose(numpy(two), rows[1:3].mean(0), rtol=1e-6)


def test_the_order_of_tasks_does_not_matter():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(6, 3))
    order = generator.permutation(6)
    krum = aggregators.Krum(1, 3)
    np.testing.assert_allclose(
        numpy(krum(tensor(rows))), numpy(krum(tensor(rows[order]))), rtol=1e-5
    )


def test_wrong_arguments():
    for value in (-1, 0.5, True, "1"):
        with pytest.raises(ValueError, match=f"num_byzantine={value}"):
            aggregators.Krum(num_byzantine=value)
    for value in (0, 1.5, True):
        with pytest.raises(ValueError, match=f"num_selected={value}"):
            aggregators.Krum(num_selected=value)


@pytest.mark.parametrize(
    "arguments, rows", [((0, 1), 2), ((1, 1), 3), ((0, 5), 4)]
)
def test_too_few_rows(arguments, rows):
    with pytest.raises(ValueError, match=f"Received: {rows} rows"):
        aggregators.Krum(*arguments)(np.ones((rows, 3), "float32"))
