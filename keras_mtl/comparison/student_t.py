"""Student's t distribution, of which Python's library has the normal one."""

import math

#: Of the continued fraction: relative to its value, and as a divisor.
PRECISION, TINY = 1e-16, 1e-300


def two_sided_p_value(statistic: float, freedom: int) -> float:
    """Returns how likely a statistic is that is as far from 0, or farther.

    Args:
        statistic: Of a t test.
        freedom: Degrees of freedom, from 1 on.

    Reference:

    - Abramowitz and Stegun, 1964, Handbook of Mathematical Functions, 26.5.27.
    """
    square = statistic**2
    if math.isinf(square):
        return 0.0
    part = freedom / (freedom + square)
    rest = square / (freedom + square)
    # The fraction converges quickly on this side of the mean.
    if part < (freedom + 2.0) / (freedom + 5.0):
        return _incomplete_beta(part, rest, freedom / 2.0, 0.5)
    return 1.0 - _incomplete_beta(rest, part, 0.5, freedom / 2.0)


def two_sided_quantile(p_value: float, freedom: int) -> float:
    """Returns the statistic, above 0, that has a two-sided p value.

    Args:
        p_value: Between 0 and 1.
        freedom: Degrees of freedom, from 1 on.
    """
    low, high = 0.0, 1.0
    while two_sided_p_value(high, freedom) > p_value:
        low, high = high, 2.0 * high
    while low < (middle := (low + high) / 2.0) < high:
        if two_sided_p_value(middle, freedom) > p_value:
            low = middle
        else:
            high = middle
    return high


def _incomplete_beta(x: float, rest: float, a: float, b: float) -> float:
    """Returns the regularized incomplete beta function at `x = 1 - rest`.

    Its continued fraction (Abramowitz and Stegun, 26.5.8) is evaluated from
    the front, by the method of Lentz.
    """
    if x == 0.0:
        return 0.0
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    logarithm += a * math.log(x) + b * math.log(rest)
    value, numerator, denominator = 1.0, 1.0, 0.0
    for index in range(1, 10_000):
        half, is_odd = divmod(index, 2)
        if is_odd:
            term = -(a + half) * (a + b + half) * x
        else:
            term = half * (b - half) * x
        term /= (a + index - 1) * (a + index)
        denominator = 1.0 / ((1.0 + term * denominator) or TINY)
        numerator = (1.0 + term / numerator) or TINY
        value *= numerator * denominator
        if abs(numerator * denominator - 1.0) < PRECISION:
            break
    return math.exp(logarithm) / (a * value)
