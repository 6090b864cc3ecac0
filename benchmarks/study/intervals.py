"""Means over seeds, and differences between methods with the same seeds."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Args:
        mean: The mean.
        half_width: Half of the interval of Student's t distribution that has
            a confidence of 95 %; `None` if there is one seed.
        count: Number of seeds.
        p_value: Of a two-sided t test against 0; `None` if there is one seed
            or all values are equal.
    """

    mean: float
    half_width: float | None
    count: int
    p_value: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the interval is known and does not contain 0."""
        return self.half_width is not None and abs(self.mean) > self.half_width


def estimate(values: Mapping[int, float]) -> Estimate | None:
    """Returns the mean of values by seed, `None` if there are none."""
    numbers = np.array([values[seed] for seed in sorted(values)])
    count = len(numbers)
    if not count:
        return None
    mean = float(np.mean(numbers))
    if count == 1:
        return Estimate(mean, None, count)
    spread = float(np.std(numbers, ddof=1) / np.sqrt(count))
    quantile = stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1)
    p_value = None
    if spread > 0:
        p_value = float(2 * stats.t.sf(abs(mean) / spread, count - 1))
    return Estimate(mean, float(quantile * spread), count, p_value)


def paired(
    values: Mapping[int, float], bases: Mapping[int, float]
) -> Estimate | None:
    """Returns the mean difference, over the seeds that both have."""
    return estimate(
        {seed: values[seed] - bases[seed] for seed in values if seed in bases}
    )
