"""Weights that share the gain fairly (Nash-MTL and FairGrad)."""

from keras_mtl.solvers.namespace import machine_epsilon
from keras_mtl.solvers.symmetric import relative_sizes
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

MAX_STEPS = 60

#: Steps that a line search looks at: 2^-12 to 2^4 times the Newton step.
NUM_LENGTHS = 17

#: Inside this relative distance Newton's method needs no line search.
NEAR = 0.25


def fair_weights(
    xp: Namespace, gramian: Tensor, alpha: float, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Solves `(G w)_i = w_i^(-1/alpha)`, `w > 0`.

    These are the conditions of optimality of a convex problem,

    `min 1/2 w' G w - sum_i phi(w_i)`, `phi'(w) = w^(-1/alpha)`,

    which is solved by Newton's method with positive iterates. Each step looks
    along the Newton direction, straight and in the logarithms of the
    variables, at a fixed set of lengths, and takes the best: the objective
    never rises. Near the solution it takes full steps.

    Variables and conditions are scaled: rows to norm 1, so that norms of any
    ratio do no harm, and the largest of them to 1.

    The problem has no finite solution exactly where 0 is in the convex hull
    of the rows: no direction serves all of them. What is solved is always the
    problem with a ridge on the cosines (1e-8 in float64, 1e-4 in float32),
    which has one, and where the ridge carries less than a fifth of every
    condition, steps without it follow until its bias is gone.

    Args:
        xp: Namespace of array functions.
        gramian: Tensor `[K, K]`.
        alpha: Positive number; 1 for the Nash bargaining solution.
        mask: Optional tensor `[K]`, positive for present tasks.

    Returns:
        `(weights, is_regularized)`: tensor `[K]`, 0 for absent tasks and zero
        rows, and a boolean scalar: the ridge decides the answer.
    """
    epsilon = machine_epsilon(gramian)
    ridge = 1e-8 if xp.epsilon < 1e-10 else 1e-4
    tolerance = 8 * epsilon
    power = 1.0 / alpha
    norms, cosines, active = unit_gramian(xp, gramian, mask)
    sizes = relative_sizes(xp, norms, active)
    sizes = xp.where(active, sizes, xp.ones_like(sizes))
    # (C x)_i = targets_i x_i^(-1/alpha) for x_i = sizes_i w_i.
    targets = xp.maximum(sizes ** (power - 1.0), 1e-30)
    identity = xp.eye(gramian.shape[0], dtype=gramian.dtype)

    def objective(matrix: Tensor, values: Tensor) -> Tensor:
        """For each row of `[S, K]`."""
        quadratic = 0.5 * xp.sum(values * xp.matmul(values, matrix), axis=-1)
        if alpha == 1:
            return quadratic - xp.sum(xp.log(values), axis=-1)
        gain = targets * values ** (1.0 - power) / (1.0 - power)
        return quadratic - xp.sum(gain, axis=-1)

    def newton_direction(matrix: Tensor, values: Tensor) -> Tensor:
        """Relative change `dx / x`, from a system of unit diagonal."""
        push = targets * values ** (-power)
        curvature = power * push / values
        diagonal = xp.diagonal(matrix) + curvature
        scale = 1.0 / xp.sqrt(diagonal)
        system = matrix + identity * curvature
        system = system * scale[:, None] * scale[None, :]
        residual = push - xp.matmul(matrix, values)
        change = xp.solve_positive(system, residual * scale) * scale
        return change / values

    exponents = xp.cast(xp.arange(NUM_LENGTHS), gramian.dtype) - 12.0
    lengths = (2.0**exponents)[:, None]

    def search(matrix: Tensor, values: Tensor, change: Tensor) -> Tensor:
        """The best of many steps, none of which leaves the positive."""
        straight = 1.0 + lengths * change
        # Rows of very different norms leave the objective blind to some
        # variables: none may run away in a step, or in all of them.
        curved = xp.exp(xp.clip(lengths * change, -4.0, 4.0))
        factors = xp.concatenate(
            [xp.where(straight > 0.01, straight, 0.01), curved], axis=0
        )
        candidates = values * factors
        heights = objective(matrix, candidates)
        heights = xp.where(
            xp.isfinite(heights), heights, xp.full_like(heights, float("inf"))
        )
        best = xp.one_hot(
            xp.argmin(heights), 2 * NUM_LENGTHS, dtype=values.dtype
        )
        return xp.sum(best[:, None] * factors, axis=0)

    def steps(
        matrix: Tensor, values: Tensor, polish: bool, maximum_steps: int
    ) -> Tensor:
        def step(
            values: Tensor, last: Tensor, done: Tensor
        ) -> tuple[Tensor, ...]:
            change = newton_direction(matrix, values)
            size = xp.max(xp.abs(change))
            # Written so that NaN counts as far.
            near = size <= NEAR
            # Close to the solution steps shrink fast, down to rounding noise.
            ended = xp.logical_and(
                near, xp.logical_or(size <= tolerance, size > 0.5 * last)
            )
            if polish:
                other = xp.ones_like(change)
                ended = xp.logical_or(ended, xp.logical_not(near))
            else:
                other = search(matrix, values, change)
                ended = xp.logical_or(ended, xp.logical_not(size > 0))
            factors = xp.where(near, 1.0 + change, other)
            moved = xp.minimum(xp.maximum(values * factors, lowest), highest)
            return moved, xp.where(near, size, last), ended

        return xp.while_loop(
            lambda values, last, done: xp.logical_not(done),
            step,
            (values, far_away, xp.any(values < 0)),
            maximum_iterations=maximum_steps,
        )[0]

    far_away = xp.max(xp.full_like(norms, float("inf")))
    with_ridge = cosines + ridge * identity
    # From the solution for orthogonal rows, at its best length.
    values = targets ** (alpha / (1.0 + alpha))
    quadratic = xp.sum(values * xp.matmul(with_ridge, values))
    gain = xp.sum(targets * values ** (1.0 - power))
    quadratic = xp.maximum(quadratic, ridge * gain)
    values = values * (gain / quadratic) ** (alpha / (1.0 + alpha))
    lowest, highest = values * 1e-12, values * 1e12
    values = steps(with_ridge, values, False, MAX_STEPS)
    # How much of each condition the ridge carries.
    share = xp.max(ridge * values ** (1.0 + power) / targets)
    is_regularized = xp.logical_not(share < 0.2)
    # Without a ridge the systems of the others may be singular.
    matrix = xp.where(is_regularized, with_ridge, cosines)
    values = steps(matrix, values, True, 4)
    # G w = w^(-1/alpha) again: w = x / sizes in units of the largest norm.
    largest = xp.max(xp.where(active, norms, xp.zeros_like(norms)))
    largest = xp.where(xp.any(active), largest, xp.ones_like(largest))
    # In this order, which does not overflow for norms of any ratio.
    weights = values * largest ** (-2.0 * alpha / (1.0 + alpha)) / sizes
    return xp.where(active, weights, xp.zeros_like(weights)), is_regularized
