"""Differences within seeds, against SciPy and statsmodels."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from keras_mtl.comparison.statistics import estimate
from keras_mtl.comparison.statistics import holm
from keras_mtl.comparison.statistics import paired
from keras_mtl.comparison.student_t import two_sided_p_value
from keras_mtl.comparison.student_t import two_sided_quantile


def by_seed(values):
    return dict(enumerate(map(float, values)))


@pytest.mark.parametrize("number", range(20))
def test_they_are_scipys_and_statsmodels(number):
    generator = np.random.default_rng(number)
    seeds, methods = generator.integers(2, 12), generator.integers(1, 9)
    table = generator.normal(0.5, 0.1, (methods + 1, seeds))
    table[1:] += 0.1 * generator.normal(size=(methods, 1))
    base, *others = table
    found = [paired(by_seed(row), by_seed(base)) for row in others]
    p_values = []
    for row, difference in zip(others, found, strict=True):
        test = stats.ttest_rel(row, base)
        interval = test.confidence_interval(0.95)
        mean, half_width = difference[:2]
        np.testing.assert_allclose(
            [mean, mean - half_width, mean + half_width],
            [np.mean(row - base), interval.low, interval.high],
            rtol=0,
            atol=1e-12,
        )
        assert difference.p_value == pytest.approx(test.pvalue, abs=1e-12)
        assert difference.excludes_zero == (test.pvalue < 0.05)
        same = np.sign(row - base) == np.sign(np.mean(row - base))
        assert (difference.seeds, difference.agreeing) == (seeds, same.sum())
        p_values.append(test.pvalue)
    np.testing.assert_allclose(
        holm([it.p_value for it in found]),
        multipletests(p_values, method="holm")[1],
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 30, 99])
def test_student_t_is_scipys(freedom):
    for statistic in (0.0, 0.1, 0.7, 1.0, -1.5, 2.0, 3.0, 10.0, 300.0, 1e9):
        p_value = two_sided_p_value(statistic, freedom)
        expected = 2.0 * stats.t.sf(abs(statistic), freedom)
        assert p_value == pytest.approx(expected, rel=1e-12, abs=1e-300)
    for p_value in (0.001, 0.05, 0.5, 0.9):
        assert two_sided_quantile(p_value, freedom) == pytest.approx(
            stats.t.isf(p_value / 2.0, freedom), rel=1e-12
        )


def test_student_t_with_one_degree_of_freedom_is_cauchys():
    for statistic in (1e-9, 0.3, 1.0, 7.0):
        expected = 1.0 - 2.0 * math.atan(statistic) / math.pi
        assert two_sided_p_value(statistic, 1) == pytest.approx(expected)
    assert two_sided_p_value(math.inf, 1) == 0.0


def test_only_common_seeds_count():
    found = paired({1: 5.0, 2: 7.0, 4: 9.0}, {1: 4.0, 2: 4.0, 3: 0.0})
    assert found == estimate({1: 1.0, 2: 3.0})
    assert paired({1: 5.0}, {2: 5.0}) is None


@pytest.mark.parametrize(
    "values", [[0.25], [0.25, 0.25, 0.25], [0.0, 0.0], [0.1, 0.1 + 1e-8]]
)
def test_without_a_spread_nothing_is_claimed(values):
    """One seed, or only rounding between them."""
    found = paired(by_seed(np.add(values, 1.0)), by_seed(np.ones(len(values))))
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.half_width, found.p_value) == (None, None)
    assert not found.excludes_zero
    assert found.agreeing == sum(value > 0 for value in values)


def test_what_was_not_tested_is_not_counted():
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04]
    assert holm([]) == []


def test_two_names_for_one_strategy_are_seldom_called_different():
    generator = np.random.default_rng(0)
    called = noticed = 0
    for _ in range(200):
        # What seeds have in common, and what each run adds to it.
        runs = generator.normal(0.9, 0.02, 5) + generator.normal(
            0.0, 0.01, (5, 5)
        )
        base, *others = map(by_seed, runs)
        better = by_seed(runs[0] + generator.normal(0.05, 0.01, 5))
        *null, known = holm(
            [paired(it, base).p_value for it in [*others, better]]
        )
        called += null[0] < 0.05
        noticed += known < 0.05
    # A chance of 1.3 % each.
    assert called <= 0.05 * 200
    # And what is different is called so.
    assert noticed > 0.9 * 200
