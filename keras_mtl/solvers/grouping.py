"""Groups of similar numbers: k-means on a line, solved exactly."""

from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


def group_means(
    xp: Namespace, values: Tensor, num_groups: int, mask: Tensor | None = None
) -> Tensor:
    """Replaces each number by the mean of its group.

    The groups minimise the sum of squared distances to the group means, with
    at most `num_groups` groups. On a line, groups are intervals, and dynamic
    programming over the sorted numbers finds the best ones: no random start,
    no local optimum.

    Args:
        xp: Namespace of array functions.
        values: Tensor `[K]`, non-negative.
        num_groups: How many groups there may be.
        mask: Optional tensor `[K]`, positive for numbers that count. Defaults
            to `None`, all.

    Returns:
        Tensor `[K]`, 0 where the mask is not positive.

    References:
        Wang and Song, Ckmeans.1d.dp: Optimal k-means Clustering in One
        Dimension by Dynamic Programming, The R Journal 3/2, 2011.
    """
    size = values.shape[0]
    zeros = xp.zeros_like(values)
    counts = zeros + 1.0
    if mask is not None:
        counts = xp.where(mask > 0, counts, zeros)
    values = xp.where(counts > 0, values, zeros)
    # Scaled, or squares might overflow.
    largest = xp.max(values)
    largest = xp.where(largest > 0, largest, 1.0 + largest)
    order = xp.argsort(values)
    inverse = xp.argsort(order)
    ordered = xp.take(values, order) / largest
    counts = xp.take(counts, order)

    # Costs of the intervals [i, j] of sorted numbers.
    places = xp.arange(size, dtype="int32")
    inside = xp.logical_and(
        places[None, None, :] >= places[:, None, None],
        places[None, None, :] <= places[None, :, None],
    )
    inside = xp.cast(inside, values.dtype) * counts
    totals = xp.sum(inside, axis=2)
    means = xp.sum(inside * ordered, axis=2) / _positive(xp, totals)
    costs = xp.sum(inside * xp.square(ordered - means[:, :, None]), axis=2)
    possible = places[:, None] <= places[None, :]
    infinite = xp.full_like(costs, float("inf"))

    # Best cost of the first j + 1 numbers, and where its last group starts.
    best = costs[0]
    starts = [xp.zeros_like(places)]
    for _ in range(min(num_groups, size) - 1):
        # Nothing is left before a group that starts at 0.
        before = xp.where(places > 0, xp.roll(best, 1), zeros)
        candidates = xp.where(possible, before[:, None] + costs, infinite)
        starts.append(xp.cast(xp.argmin(candidates, axis=0), "int32"))
        best = xp.min(candidates, axis=0)

    # From the last group back to the first.
    result = zeros
    end = xp.max(places)
    for start in reversed(starts):
        is_last = xp.cast(places == end, "int32")
        begin = xp.sum(is_last * start)
        member = xp.logical_and(places >= begin, places <= end)
        member = xp.cast(member, values.dtype) * counts
        mean = xp.sum(member * ordered) / _positive(xp, xp.sum(member))
        result = result + member * mean
        end = begin - 1
    return xp.take(result * largest, inverse)


def _positive(xp: Namespace, counts: Tensor) -> Tensor:
    return xp.where(counts > 0, counts, 1.0 + counts)
