"""The point of least norm in the convex hull of the rows."""

from keras_mtl.solvers.nonnegative import solve_nonnegative
from keras_mtl.solvers.symmetric import present_tasks
from keras_mtl.solvers.symmetric import relative_inverses
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


def min_norm_weights(
    xp: Namespace, gramian: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Returns weights on the simplex that minimise `||J' w||`.

    With `u >= 0` in place of `w`, the problem

    `min 1/2 u' G u + 1/2 (1'u - 1)^2`

    has a multiple of `w` as its solution. The variables are `u_i ||g_i||`, so
    that the solver sees cosines and row norms of any ratio do no harm.

    Args:
        xp: Namespace of array functions.
        gramian: Tensor `[K, K]`.
        mask: Optional tensor `[K]`, positive for present tasks.

    Returns:
        Tensor `[K]`, non-negative, sum 1 (0 if all tasks are absent). Rows
        that are exactly zero share all the weight if there are any. Where
        rows are dependent the weights are not unique; `J' w` always is.
    """
    norms, cosines, active = unit_gramian(xp, gramian, mask)
    scaled, inverses = hull_problem(xp, norms, cosines, active)
    weights = scaled * inverses
    total = xp.sum(weights)
    weights = weights / xp.where(total == 0, xp.ones_like(total), total)
    present = present_tasks(xp, gramian, mask)
    zero_rows = xp.logical_and(present, xp.logical_not(active))
    shares = xp.cast(zero_rows, gramian.dtype)
    count = xp.sum(shares)
    return xp.where(count > 0, shares / xp.maximum(count, 1.0), weights)


def hull_problem(
    xp: Namespace, norms: Tensor, cosines: Tensor, active: Tensor
) -> tuple[Tensor, Tensor]:
    """Solves the problem in scaled variables.

    Returns:
        `(scaled, inverses)`: tensors `[K]`; `scaled * inverses` is a multiple
        of the weights, `inverses` are the norms' inverses times the smallest.
    """
    inverses = relative_inverses(xp, norms, active)
    matrix = cosines + inverses[:, None] * inverses[None, :]
    return solve_nonnegative(xp, matrix, inverses), inverses
