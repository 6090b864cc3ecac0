"""Volume that a set of solutions dominates."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.metrics.hypervolume")
def hypervolume(
    points: Any,
    reference: Any,
    higher_is_better: bool | Sequence[bool] = False,
) -> float:
    """Returns the volume between solutions and a reference point.

    It measures a whole front of trade-offs between tasks, such as those of
    models trained with different preferences: how near it is to the ideal
    and how far it spreads. Higher is better. Always report the reference
    point, which decides how much the ends of the front count.

    `Vol{p : some q of points is at least as good as p, and p as reference}`

    The volume is exact. In two dimensions it takes O(n log n) steps; in more
    the number of steps may grow exponentially with the dimension: use it up
    to about five.

    Args:
        points: Array `[n, d]`, one row per solution, one column per
            objective. Solutions that are not better than the reference in
            all objectives add nothing.
        reference: `d` numbers, an outcome that is worse than all of interest.
        higher_is_better: Whether higher is better, for all objectives or for
            each. Defaults to `False`: losses or errors.

    Returns:
        The volume, 0 for no points.

    Raises:
        ValueError: If shapes do not fit, or a number is not finite.

    Example:

    ```python
    keras_mtl.metrics.hypervolume([[1.0, 2.0], [2.0, 1.0]], [3.0, 3.0])  # 3.0
    ```

    References:
        Zitzler and Thiele, Multiobjective Evolutionary Algorithms: A
        Comparative Case Study and the Strength Pareto Approach, IEEE
        Transactions on Evolutionary Computation 3(4), 1999; the algorithm is
        that of While, Bradstreet and Barone, A Fast Way of Calculating Exact
        Hypervolumes, IEEE Transactions on Evolutionary Computation 16(1),
        2012.
    """
    reference = np.asarray(reference, dtype="float64")
    if reference.ndim != 1 or not reference.size:
        raise ValueError(
            "Argument `reference` must hold one number per objective. "
            f"Received: reference={reference}"
        )
    points = np.asarray(points, dtype="float64")
    if not points.size:
        points = np.empty((0, reference.size))
    if points.ndim != 2 or points.shape[1] != reference.size:
        raise ValueError(
            f"Argument `points` must have shape (n, {reference.size}), as "
            f"`reference` has {reference.size} entries. Received shape: "
            f"{points.shape}"
        )
    if not (np.isfinite(points).all() and np.isfinite(reference).all()):
        raise ValueError(
            "`points` and `reference` must be finite. Leave out solutions "
            "that have failed."
        )
    flags = np.asarray(higher_is_better)
    if flags.dtype != bool or flags.shape not in ((), reference.shape):
        raise ValueError(
            "Argument `higher_is_better` must be a bool, or one per "
            f"objective. Received: higher_is_better={higher_is_better!r}"
        )
    # How much better than the reference: more is better from here on.
    gains = np.where(flags, 1.0, -1.0) * (points - reference)
    return float(_volume(gains[(gains > 0).all(axis=1)]))


def _volume(gains: np.ndarray) -> float:
    """Volume of the union of the boxes from 0 to each row."""
    if not len(gains):
        return 0.0
    if gains.shape[1] == 1:
        return gains.max()
    gains = gains[np.argsort(-gains[:, -1], kind="stable")]
    if gains.shape[1] == 2:
        # Ever lower and ever wider: the staircase.
        widths = np.maximum.accumulate(gains[:, 0])
        steps = np.diff(widths, prepend=0.0)
        return steps @ gains[:, 1]
    gains = _without_dominated(gains)
    volume = 0.0
    for index, row in enumerate(gains):
        # What a box adds to those that are higher than it in the last
        # objective: within it, they all have its height.
        others = np.minimum(gains[:index, :-1], row[:-1])
        own = np.prod(row[:-1]) - _volume(others)
        volume += own * row[-1]
    return volume


def _without_dominated(gains: np.ndarray) -> np.ndarray:
    """Leaves out boxes that lie within others, and all but one of equals."""
    gains = np.unique(gains, axis=0)
    gains = gains[np.argsort(-gains[:, -1], kind="stable")]
    at_least = (gains[:, None] >= gains[None]).all(axis=2)
    return gains[at_least.sum(axis=0) == 1]
