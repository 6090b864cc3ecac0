"""Means over seeds, and differences within seeds, with what is known of them.

Runs of one seed start alike and see the same batches: their differences vary
less than the runs themselves, and are what methods are compared by.
"""

import math
import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from keras_mtl.comparison.student_t import two_sided_p_value
from keras_mtl.comparison.student_t import two_sided_quantile

#: How often an interval holds the true mean.
CONFIDENCE = 0.95

#: Spreads below this part of the values are rounding, for losses are float32.
ROUNDING = 2.0**-20


class Estimate(NamedTuple):
    """A mean over seeds.

    Attributes:
        mean: The mean.
        half_width: Half of the interval of Student's t distribution, `None`
            where there is none: with one seed, or if all seeds are equal.
        p_value: Of a two-sided t test against 0, `None` without an interval.
        seeds: Number of seeds.
        agreeing: Number of seeds on the side of 0 on which the mean is.
    """

    mean: float
    half_width: float | None
    p_value: float | None
    seeds: int
    agreeing: int

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval, and 0 is not in it."""
        return self.half_width is not None and abs(self.mean) > self.half_width


def estimate(
    values: Mapping[int, float], scale: float | None = None
) -> Estimate | None:
    """Returns the mean of values by seed, `None` if there are none.

    Args:
        values: The values.
        scale: What rounding is relative to. Defaults to `None`: the largest
            value.
    """
    numbers = list(values.values())
    if not numbers:
        return None
    count, mean = len(numbers), statistics.fmean(numbers)
    agreeing = sum(value * mean > 0.0 for value in numbers)
    spread = statistics.stdev(numbers) / math.sqrt(count) if count > 1 else 0.0
    if scale is None:
        scale = max(map(abs, numbers))
    if spread <= ROUNDING * scale:
        return Estimate(mean, None, None, count, agreeing)
    half = two_sided_quantile(1.0 - CONFIDENCE, count - 1) * spread
    p_value = two_sided_p_value(mean / spread, count - 1)
    return Estimate(mean, half, p_value, count, agreeing)


def paired(
    values: Mapping[int, float], base: Mapping[int, float]
) -> Estimate | None:
    """Returns the mean difference over the seeds that both have.

    Args:
        values: Values by seed.
        base: What they are compared with.
    """
    common = [seed for seed in values if seed in base]
    scale = max((abs(base[seed]) for seed in common), default=0.0)
    return estimate({seed: values[seed] - base[seed] for seed in common}, scale)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Corrects p values for how many there are, by Holm's method.

    If those of 5 % or less are called differences, the chance that one or more
    of them is none is at most 5 %, whatever the tests have in common.

    Args:
        p_values: One for each test, `None` for what was not tested.

    Reference:

    - Holm, 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    corrected: list[float | None] = [None] * len(p_values)
    known = [
        (value, index)
        for index, value in enumerate(p_values)
        if value is not None
    ]
    largest = 0.0
    for rank, (value, index) in enumerate(sorted(known)):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        corrected[index] = largest
    return corrected
