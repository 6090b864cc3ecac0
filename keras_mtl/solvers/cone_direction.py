"""The direction in a cone around the mean that serves the worst task best."""

import math

from keras_mtl.solvers.common_direction import farthest_reach
from keras_mtl.solvers.mean_row import mean_row
from keras_mtl.solvers.min_norm import hull_problem
from keras_mtl.solvers.symmetric import pseudo_inverse_product
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

#: Coefficients of unit rows in a unit vector from which on they must cancel.
LARGE = 1e3

#: Relative error of the length of the direction that may be due to them.
TOLERANCE = 1e-3


def cone_direction_weights(
    xp: Namespace, gramian: Tensor, cosine: float, mask: Tensor | None = None
) -> Tensor:
    """Solves `max_d min_i <g_i, d>` for `||d|| = ||g_0||`, `cos(g_0, d) >= c`.

    `g_0` is the mean of the rows. The dual, with `||d|| <= ||g_0||`, is to
    find the convex combination of rows whose projection onto the cone is
    shortest; `d` points along that projection. Of the cases of a projection
    onto a cone, two remain:

    - The combination lies within the cone. Then it is the point of least norm
      in the hull of the rows.
    - Else `d / ||d|| = c g_0 / ||g_0|| + u` with `u` orthogonal to `g_0`, and
      `u` maximises the lowest `<g_i, c g_0 / ||g_0|| + u>` subject to
      `||u|| <= sqrt(1 - c^2)`: the problem of CAGrad for the parts of the
      rows that are orthogonal to `g_0`.

    If some direction of the cone serves all tasks, that is the solution, and
    it is the only one. If none does, the second problem still has a solution,
    and its direction is the answer.

    Args:
        xp: Namespace of array functions.
        gramian: Tensor `[K, K]`.
        cosine: The constant `c`, above 0 and below 1.
        mask: Optional tensor `[K]`, positive for present tasks.

    Returns:
        Tensor `[K]`: weights `w` with `d = J' w`, finite for every finite
        input. If `g_0 = 0` up to rounding errors, `d = g_0`. Zero rows count
        in `g_0` only.
    """
    epsilon = xp.epsilon
    norms, cosines, active, mean, largest, length, vanishing, projections = (
        mean_row(xp, gramian, mask)
    )
    zeros = xp.zeros_like(norms)
    ones = xp.ones_like(norms)
    usable = xp.logical_and(active, xp.isfinite(projections))
    projections = xp.clip(xp.where(usable, projections, zeros), -1.0, 1.0)

    # The point of least norm.
    hull, inverses = hull_problem(xp, norms, cosines, active)
    total = xp.dot(hull, inverses)
    total = xp.where(total > 0, total, xp.ones_like(total))
    hull_square = xp.maximum(xp.dot(hull, xp.matmul(cosines, hull)), 0.0)
    distance = xp.sqrt(hull_square)
    inside = xp.logical_and(
        hull_square > epsilon / TOLERANCE * xp.square(xp.sum(hull)),
        xp.dot(hull, projections) >= cosine * distance,
    )
    nearest = hull / xp.where(inside, distance, xp.ones_like(distance))

    # The surface of the cone, by the parts orthogonal to g_0.
    parts = cosines - projections[:, None] * projections[None, :]
    sides = xp.diagonal(parts)
    sides = xp.where(sides > 8 * epsilon, sides, zeros)
    turns = xp.logical_and(active, sides > 0)
    pairs = xp.logical_and(turns[:, None], turns[None, :])
    parts = xp.where(pairs, parts, xp.zeros_like(parts))
    radius = math.sqrt(1.0 - cosine**2)
    heights = cosine * projections
    divisors = xp.where(active, inverses, ones)
    infinite = xp.full_like(norms, float("inf"))

    def lowest(levels: Tensor) -> Tensor:
        return xp.min(xp.where(active, levels / divisors, infinite))

    low = lowest(heights)
    # No direction does better than along the point of least norm, than
    # towards one row alone, or for the mean than along the mean.
    shares = xp.where(active, mean, zeros)
    ratio = xp.dot(shares / divisors, heights) / xp.where(
        xp.any(active), xp.sum(shares), xp.ones_like(largest)
    )
    high = xp.minimum(lowest(heights + radius * xp.sqrt(sides)), ratio)
    high = xp.maximum(low, xp.minimum(distance / total, high))
    scaled = farthest_reach(
        xp,
        parts,
        inverses,
        heights,
        active,
        radius,
        (low, high),
        start=high,
        done=xp.logical_or(vanishing, inside),
        may_be_impossible=True,
    )
    # The parts are dependent: huge coefficients cancel in `u`, but would not
    # to the last digit in `d`, whose length is known only as well as their
    # square times the rounding errors of the Gramian.
    most = math.sqrt(TOLERANCE / epsilon)
    large = min(LARGE, most)
    smaller = pseudo_inverse_product(
        xp, parts, xp.matmul(parts, scaled), 1.0 / large**2
    )
    scaled = xp.where(xp.sum(scaled) > large, smaller, scaled)
    # So is that of `g_0`, along which `u` must have no part: what is taken
    # off for that may be as many times its length as are certain.
    share = length * largest / xp.sum(xp.where(active, mean * norms, zeros))
    taken = xp.abs(xp.dot(scaled, projections))
    limit = xp.maximum(most * share, 1.0)
    scaled = scaled * xp.minimum(
        limit / xp.where(taken > 0, taken, xp.ones_like(taken)), 1.0
    )
    reach = xp.sqrt(xp.maximum(xp.dot(scaled, xp.matmul(parts, scaled)), 0.0))
    scaled = scaled * xp.minimum(
        radius / xp.where(reach > 0, reach, xp.ones_like(reach)), 1.0
    )
    reach = xp.minimum(reach, radius)
    # Of unit length: shorter only where the best `u` is.
    shrink = 1.0 / xp.sqrt(cosine**2 + xp.square(reach))
    scaled = scaled * shrink
    along = cosine * shrink - xp.dot(scaled, projections)
    surface = along * mean + scaled * length * (largest / norms)
    nearest = nearest * length * (largest / norms)
    weights = xp.where(inside, nearest, surface)
    return xp.where(vanishing, mean + 0.0 * norms, weights)
