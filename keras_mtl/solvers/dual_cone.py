"""Projections onto the dual cone of the rows: nobody gets worse."""

from keras_mtl.solvers.nonnegative import solve_nonnegative
from keras_mtl.solvers.symmetric import is_rounding_error
from keras_mtl.solvers.symmetric import relative_sizes
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


def dual_cone_weights(
    xp: Namespace,
    gramian: Tensor,
    combinations: Tensor,
    mask: Tensor | None = None,
) -> Tensor:
    """Projects combinations of the rows onto `{u : J u >= 0}`.

    The projection of `J' p` is `J' (p + v)` with `v >= 0` that solves

    `min 1/2 v' G v + p' G v`

    In the variables `v_i ||g_i||`, with the cosines in place of `G`, so that
    row norms of any ratio do no harm.

    Args:
        xp: Namespace of array functions.
        gramian: Tensor `[K, K]`.
        combinations: Tensor `[K]`, or `[R, K]` for R vectors to project: the
            coefficients `p` of the rows. Those of absent tasks must be 0.
        mask: Optional tensor `[K]`, positive for present tasks.

    Returns:
        Tensor like `combinations`: `p + v`. Zero rows are left alone, and
        so are combinations whose rows cancel up to rounding errors, of which
        nothing is left to project.
    """
    norms, cosines, active = unit_gramian(xp, gramian, mask)
    sizes = relative_sizes(xp, norms, active)
    scaled = combinations * sizes
    target = -xp.matmul(scaled, cosines)
    vanishing = is_rounding_error(
        xp,
        xp.sum(-target * scaled, axis=-1, keepdims=True),
        xp.sum(xp.abs(scaled), axis=-1, keepdims=True),
    )
    # A row that nobody sees must not enter.
    inside = xp.cast(active, gramian.dtype)
    target = xp.where(vanishing, xp.zeros_like(target), target * inside)
    scaled = solve_nonnegative(xp, cosines, target) * inside
    divisors = xp.where(active, sizes, xp.ones_like(sizes))
    return combinations + scaled / divisors


def regularized(
    xp: Namespace,
    gramian: Tensor,
    norm_eps: float,
    reg_eps: float,
    present: Tensor,
) -> tuple[Tensor, Tensor]:
    """Divides a Gramian by its trace and adds to its diagonal.

    Args:
        xp: Namespace of array functions.
        gramian: Tensor `[K, K]`.
        norm_eps: A Gramian of smaller trace counts as zero.
        reg_eps: Multiple of the identity that is added. With 0 the Gramian
            is returned as it is.
        present: Tensor `[K]`, 1 for present tasks, 0 for absent.

    Returns:
        `(gramian, vanishes)`, the second a boolean scalar.
    """
    diagonal = xp.diagonal(gramian)
    trace = xp.sum(xp.where(present > 0, diagonal, xp.zeros_like(diagonal)))
    vanishes = trace < norm_eps
    if reg_eps == 0:
        return gramian, vanishes
    identity = xp.eye(gramian.shape[0], dtype=gramian.dtype)
    divisor = xp.where(trace > 0, trace, xp.ones_like(trace))
    return gramian / divisor + reg_eps * identity, vanishes
