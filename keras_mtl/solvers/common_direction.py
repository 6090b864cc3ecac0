"""The direction near the mean that serves the worst task best (CAGrad)."""

from keras_mtl.solvers.mean_row import mean_row
from keras_mtl.solvers.min_norm import hull_problem
from keras_mtl.solvers.nonnegative import solve_nonnegative
from keras_mtl.solvers.symmetric import solve_on_support
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

MAX_STEPS = 24


def common_direction_weights(
    xp: Namespace,
    gramian: Tensor,
    radius: float,
    mask: Tensor | None = None,
    shares: Tensor | None = None,
) -> Tensor:
    """Solves `max_d min_i <g_i, d>` subject to `||d - g_0|| <= c ||g_0||`.

    `g_0` is the mean of the rows. For a level `t` of the worst task, the
    shortest `u = d - g_0` with `<g_i, d> >= t` is `J' v` for the solution
    `v >= 0` of a quadratic program,

    `min 1/2 v' G v - (t 1 - G 1/K)' v`,

    and `||u||` is increasing and convex in `t`. The level at which it is
    `c ||g_0||` is found by a safeguarded root search: on a fixed support
    `||u||^2` is a quadratic function of `t`, so that the step is exact once
    the support is right, and each program starts from the support before.

    Everything is scaled: rows to norm 1, lengths by `||g_0||`.

    Args:
        xp: Namespace of array functions.
        gramian: Tensor `[K, K]`.
        radius: The constant `c`.
        mask: Optional tensor `[K]`, positive for present tasks.
        shares: Optional tensor `[K]` of weights of the rows in `g_0`, 0 for
            absent tasks. Defaults to `None`, those of the mean.

    Returns:
        Tensor `[K]`: weights `w` with `d = J' w`. They are finite for every
        finite input, where the problem itself has no unique solution too:

        - `g_0 = 0` up to rounding errors: `d = g_0`;
        - zero rows count in `g_0`, but put no bound on the level. If all
          other rows can be served, any direction that serves them is optimal,
          and this is the one that serves them best;
        - 0 on the boundary of the convex hull of the rows: where no level
          above 0 can be reached and 0 can be, the shortest `u` that does.
    """
    norms, cosines, active, mean, largest, length, vanishing, projections = (
        mean_row(xp, gramian, mask, shares)
    )
    zeros = xp.zeros_like(norms)

    hull, inverses = hull_problem(xp, norms, cosines, active)
    total = xp.dot(hull, inverses)
    total = xp.where(total > 0, total, xp.ones_like(total))
    distance = xp.sqrt(xp.maximum(xp.dot(hull, xp.matmul(cosines, hull)), 0.0))
    infinite = xp.full_like(norms, float("inf"))
    divisors = xp.where(active, inverses, xp.ones_like(inverses))

    def lowest(levels: Tensor) -> Tensor:
        return xp.min(xp.where(active, levels / divisors, infinite))

    # No direction does better than along the hull's point of least norm, or
    # than towards one row alone.
    low = lowest(projections)
    high = xp.minimum(
        (1.0 + radius) * distance / total, lowest(projections + radius)
    )
    high = xp.maximum(low, high)
    scaled = farthest_reach(
        xp,
        cosines,
        inverses,
        projections,
        active,
        radius,
        (low, high),
        start=high,
        done=vanishing,
    )
    square = xp.maximum(xp.dot(scaled, xp.matmul(cosines, scaled)), 0.0)
    reached = xp.sqrt(square)
    shrink = xp.minimum(radius / _positive(xp, reached), 1.0)
    update = scaled * shrink * length * (largest / norms)
    return mean + xp.where(vanishing, zeros, update)


def farthest_reach(
    xp: Namespace,
    matrix: Tensor,
    inverses: Tensor,
    projections: Tensor,
    active: Tensor,
    radius: float,
    bounds: tuple[Tensor, Tensor],
    start: Tensor,
    done: Tensor,
    may_be_impossible: bool = False,
) -> Tensor:
    """Searches the highest level that a vector of bounded length reaches.

    The level `t` is reached by `u` if `p_i + <r_i, u> >= t b_i` for all rows
    `r_i`, and the shortest such `u` is `R' v` for the solution `v >= 0` of
    `min 1/2 v' R R' v - (t b - p)' v`.

    Args:
        xp: Namespace of array functions.
        matrix: Tensor `[K, K]`, the Gramian `R R'`.
        inverses: Tensor `[K]`, the factors `b`, at least 0.
        projections: Tensor `[K]`, the offsets `p`.
        active: Boolean tensor `[K]`, False for rows to leave out.
        radius: Largest length of `u`.
        bounds: A level that `u = 0` reaches, and one that is not exceeded.
        start: The level to try first.
        done: Boolean scalar, True if there is nothing to search.
        may_be_impossible: Whether there may be levels within the bounds that
            no `u` of any length reaches. Defaults to `False`.

    Returns:
        Tensor `[K]`, the coefficients `v`.
    """
    epsilon = xp.epsilon
    tolerance = 1e-12 if epsilon < 1e-10 else 1e-6
    goal = radius**2
    zeros = xp.zeros_like(inverses)

    def step(
        level: Tensor, low: Tensor, high: Tensor, scaled: Tensor, done: Tensor
    ) -> tuple[Tensor, ...]:
        target = xp.where(
            active, level * inverses - projections, xp.full_like(zeros, -1.0)
        )
        found = solve_nonnegative(xp, matrix, target, start=scaled)
        product = xp.matmul(matrix, found)
        missing = goal - xp.maximum(xp.dot(found, product), 0.0)
        slope = xp.dot(inverses, found)
        change = solve_on_support(xp, matrix, inverses, found > 0, 4 * epsilon)
        curvature = xp.maximum(xp.dot(inverses, change), 0.0)
        if may_be_impossible:
            short = xp.where(active, target - product, zeros)
            size = xp.max(xp.where(active, xp.abs(target), zeros))
            limit = 1e-9 if epsilon < 1e-10 else 1e-5
            possible = xp.max(short) <= limit * size
            found = xp.where(possible, found, scaled)
            missing = xp.where(possible, missing, xp.full_like(missing, -1.0))
        root = xp.sqrt(xp.maximum(xp.square(slope) + curvature * missing, 0.0))
        low = xp.where(missing > 0, xp.maximum(level, low), low)
        high = xp.where(missing > 0, high, xp.minimum(level, high))
        exact = level + missing / _positive(xp, slope + root)
        newton = level + missing / _positive(xp, 2.0 * slope)
        middle = (low + high) / 2
        level = xp.where(
            between(low, exact, high),
            exact,
            xp.where(between(low, newton, high), newton, middle),
        )
        if may_be_impossible:
            level = xp.where(possible, level, middle)
        width = tolerance * xp.maximum(xp.abs(low), xp.abs(high))
        done = xp.logical_or(
            xp.abs(missing) <= tolerance * goal, high - low <= width
        )
        return level, low, high, found, done

    def between(low: Tensor, value: Tensor, high: Tensor) -> Tensor:
        return xp.logical_and(low < value, value < high)

    *_, scaled, _ = xp.while_loop(
        lambda level, low, high, scaled, done: xp.logical_not(done),
        step,
        (start, *bounds, zeros, done),
        # Towards levels that nothing reaches there is only halving.
        maximum_iterations=2 * MAX_STEPS if may_be_impossible else MAX_STEPS,
    )
    return scaled


def _positive(xp: Namespace, value: Tensor) -> Tensor:
    return xp.where(value > 0, value, xp.ones_like(value))
