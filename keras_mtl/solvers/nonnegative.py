"""Quadratic programs over the non-negative orthant, by active sets."""

from keras_mtl.solvers.namespace import machine_epsilon
from keras_mtl.solvers.symmetric import solve_on_support
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

#: Steps that exchange all wrong indices at once, before the safe ones.
BLOCK_STEPS = 8


def solve_nonnegative(
    xp: Namespace, matrix: Tensor, target: Tensor, start: Tensor | None = None
) -> Tensor:
    """Minimises `1/2 v' Q v - c' v` over `v >= 0`.

    An active-set method: it ends at the exact solution of a linear system on
    the right support, not somewhere near. Bounded loops of masked `K x K`
    solves, of fixed shape and without branches:

    1. A few steps exchange *all* indices of wrong sign (block principal
       pivoting). From a good start that takes one or two solves, from none
       three to five, but it need not converge.
    2. If it did not, steps that add the index of largest gain, one at a time,
       and go back to the boundary where a variable would turn negative
       (Lawson and Hanson). The objective falls from step to step.

    The problem is scaled to a unit diagonal first. A relative ridge, four
    times `K eps` with the epsilon of the data, is solved with: it bounds the
    rounding errors of `Q`, along which the objective would fall without end
    where `Q` is singular, so that the value of the objective stays below 0
    for the `Q` without these errors too: a projection never lengthens. Where
    `Q` is not singular the bias of the ridge is removed by a step of
    iterative refinement, which is a proximal step, as safe. A support
    on which rounding errors outgrow it, so that the system ends in NaN, is
    left; data that is not finite gives NaN. A problem that is unbounded below
    gets a large, finite answer.

    Several problems with the same matrix are solved side by side: each takes
    its own steps, all until the last is done.

    Args:
        xp: Namespace of array functions.
        matrix: Tensor `[K, K]`, symmetric positive semi-definite.
        target: Tensor `[K]`, or `[R, K]` for R problems.
        start: Optional tensor like `target`, a guess whose positive entries
            tell the support. Defaults to `None`, the positive entries of
            `target`.

    Returns:
        Tensor like `target`.

    References:
        Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23;
        Portugal, Judice and Vicente, Mathematics of Computation 63, 1994,
        for the block steps.
    """
    if len(target.shape) == 1:
        start = None if start is None else start[None, :]
        return solve_nonnegative(xp, matrix, target[None, :], start)[0]
    num_tasks = matrix.shape[0]
    # The ridge covers errors of the data, the test those of the arithmetic:
    # with less than the matrix's rounding errors, of either sign, the values
    # would be as large as those errors allow.
    ridge = max(1e-13, 4 * num_tasks * xp.epsilon)
    epsilon = machine_epsilon(matrix)
    diagonal = xp.diagonal(matrix)
    scale = xp.sqrt(xp.where(diagonal > 0, diagonal, xp.ones_like(diagonal)))
    matrix = matrix / scale[:, None] / scale[None, :]
    target = target / scale
    ones = xp.ones_like(target)
    size = xp.max(xp.abs(target), axis=1, keepdims=True)
    size = xp.where(size > 0, size, xp.ones_like(size))
    target = target / size
    magnitudes = xp.abs(matrix)
    # The loops end at once, and the result says so.
    hopeless = xp.logical_not(
        xp.isfinite(xp.sum(magnitudes) + xp.sum(target, axis=1, keepdims=True))
    )

    def times(left: Tensor, values: Tensor) -> Tensor:
        return xp.matmul(values, left)  # Symmetric.

    def objective(values: Tensor) -> Tensor:
        terms = values * (0.5 * times(matrix, values) - target)
        return xp.sum(terms, axis=1, keepdims=True)

    def anywhere(condition: Tensor) -> Tensor:
        return xp.any(condition, axis=1, keepdims=True)

    def look(
        values: Tensor, passive: Tensor, found: Tensor
    ) -> tuple[Tensor, ...]:
        """Returns the solution on a support and what is wrong with it.

        Where there is none, the values stand in for it, and the indices that
        add nothing to them count as negative.
        """
        solved = xp.logical_or(
            xp.all(xp.isfinite(found), axis=1, keepdims=True), hopeless
        )
        solution = xp.where(solved, found, values)
        gradient = target - times(matrix, solution) - ridge * solution
        # A gradient within its rounding error is zero.
        noise = xp.abs(target) + times(magnitudes, xp.abs(solution))
        improving = xp.logical_and(
            gradient > 2 * epsilon * noise, xp.logical_not(passive)
        )
        negative = xp.logical_and(solution <= 0, passive)
        return solution, gradient, improving, negative, solved

    def exchange(
        passive: Tensor, barred: Tensor, looked: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Flips every index of wrong sign."""
        solution, _, improving, negative, solved = looked
        wrong = xp.logical_or(improving, negative)
        # What is done has no wrong index, and gets the same solution again.
        return (
            xp.maximum(solution, 0.0),
            xp.logical_xor(passive, wrong),
            barred,
            xp.logical_and(solved, xp.logical_not(anywhere(wrong))),
        )

    def start_safely(
        values: Tensor, passive: Tensor, done: Tensor
    ) -> tuple[Tensor, ...]:
        """Begins where the exchanges end, or at zero if that is better."""
        usable = xp.logical_or(done, objective(values) < 0)
        values = xp.where(usable, values, xp.zeros_like(values))
        return values, xp.where(done, passive, values > 0)

    def descend(
        values: Tensor,
        passive: Tensor,
        barred: Tensor,
        done: Tensor,
        looked: tuple[Tensor, ...],
    ) -> tuple[Tensor, ...]:
        """Accepts the solution, or goes towards it up to the boundary."""
        solution, gradient, improving, negative, _ = looked
        feasible = xp.logical_not(anywhere(negative))
        # Feasible: the index of largest gain enters, except those that came
        # back out without a step since the values moved last.
        moved = anywhere(solution != values)
        shut = xp.logical_and(barred, xp.logical_not(moved))
        candidates = xp.logical_and(improving, xp.logical_not(shut))
        gains = xp.where(candidates, gradient, -ones)
        best = xp.one_hot(xp.argmax(gains, axis=1), num_tasks, dtype=dtype)
        entering = xp.logical_and(best > 0, candidates)
        # Not feasible: the indices leave that turn negative first.
        length = values - solution
        ratios = xp.where(
            negative,
            values / xp.where(length > 0, length, ones),
            2.0 * ones,
        )
        ratio = xp.min(ratios, axis=1, keepdims=True)
        leaving = xp.logical_and(negative, ratios <= ratio)
        boundary = xp.where(
            leaving, xp.zeros_like(values), values - ratio * length
        )
        stuck = ratio <= 0
        new_values = xp.where(feasible, solution, xp.maximum(boundary, 0.0))
        new_passive = xp.where(
            feasible,
            xp.logical_or(passive, entering),
            xp.logical_and(passive, xp.logical_not(leaving)),
        )
        # A problem that is done waits for the others.
        return (
            xp.where(done, values, new_values),
            xp.where(done, passive, new_passive),
            xp.where(
                feasible,
                shut,
                xp.logical_and(stuck, xp.logical_or(barred, leaving)),
            ),
            xp.logical_or(
                done,
                xp.logical_and(feasible, xp.logical_not(anywhere(entering))),
            ),
        )

    def refine(values: Tensor, correction: Tensor) -> Tensor:
        """Adds a correction where it is one: on singular supports it is not."""
        refined = xp.maximum(values + correction, 0.0)
        # The bias of the ridge is more than rounding errors in the values, but
        # not in the objective, which is flat there.
        sizes = values * (times(magnitudes, values) + xp.abs(target))
        noise = epsilon * xp.sum(sizes, axis=1, keepdims=True)
        better = objective(refined) < objective(values) + noise
        return xp.where(better, refined, values)

    def step(
        count: Tensor,
        values: Tensor,
        passive: Tensor,
        barred: Tensor,
        done: Tensor,
        _: Tensor,
    ) -> tuple[Tensor, ...]:
        """One solve and what follows: all kinds share one, to compile fast."""
        values, passive = xp.choose(
            count == BLOCK_STEPS,
            lambda: start_safely(values, passive, done),
            lambda: (values, passive),
        )
        closed = xp.logical_or(xp.all(done), count >= most_steps)
        (right,) = xp.choose(
            closed,
            lambda: (target - times(matrix, values),),
            lambda: (target,),
        )
        found = solve_on_support(xp, matrix, right, passive, ridge)

        def change() -> tuple[Tensor, ...]:
            looked = look(values, passive, found)
            return xp.choose(
                count < BLOCK_STEPS,
                lambda: exchange(passive, barred, looked),
                lambda: descend(values, passive, barred, done, looked),
            )

        state = xp.choose(
            closed,
            lambda: (refine(values, found), passive, barred, done),
            change,
        )
        return count + 1, *state, closed

    dtype = matrix.dtype
    most_steps = BLOCK_STEPS + 3 * num_tasks + 10
    passive = target > 0
    if start is not None:
        given = start > 0
        passive = xp.where(anywhere(given), given, passive)
    # Made from data, so that it is a tensor of the graph everywhere.
    never = ones < 0
    _, values, *_ = xp.while_loop(
        lambda *state: xp.logical_not(state[-1]),
        step,
        (
            xp.zeros((), dtype="int32"),
            xp.zeros_like(target),
            passive,
            never,
            anywhere(never),
            xp.any(never),
        ),
    )
    return values * size / scale
