"""Gramians in scaled form, and solutions of symmetric systems."""

from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

#: Squared norms up to this count as zero: below it float32 is subnormal.
SMALLEST_SQUARE = 1e-37


def present_tasks(
    xp: Namespace, gramian: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Returns which tasks are there, as a boolean tensor `[K]`."""
    if mask is None:
        return xp.ones_like(xp.diagonal(gramian)) > 0
    return mask > 0


def unit_gramian(
    xp: Namespace, gramian: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Splits a Gramian into the norms of the rows and their cosines.

    Products and inverses of `C = D^-1 G D^-1`, with `D` the norms, are safe
    where those of `G` overflow or lose all digits: norms of 1e-18 and 1e15 in
    one Gramian are fine in float32.

    Args:
        xp: Namespace of array functions.
        gramian: Tensor `[K, K]`.
        mask: Optional tensor `[K]`, positive for tasks that are present.
            Defaults to `None`, all present.

    Returns:
        `(norms, cosines, active)`. `active` is False for absent tasks and for
        zero rows; these have norm 1 and the row and column of an identity
        matrix. If an entry of an active row is not finite, the norms are NaN
        and the cosines are the identity, so that solvers end and the result
        says so.
    """
    num_tasks = gramian.shape[0]
    diagonal = xp.diagonal(gramian)
    # Written so that NaN counts as active.
    active = xp.logical_and(
        present_tasks(xp, gramian, mask),
        xp.logical_not(diagonal <= SMALLEST_SQUARE),
    )
    norms = xp.sqrt(xp.where(active, diagonal, xp.ones_like(diagonal)))
    pairs = xp.logical_and(active[:, None], active[None, :])
    cosines = xp.where(pairs, gramian, xp.zeros_like(gramian))
    cosines = cosines / norms[:, None] / norms[None, :]
    finite = xp.all(xp.isfinite(cosines))
    identity = xp.eye(num_tasks, dtype=gramian.dtype)
    keep = xp.logical_and(finite, identity == 0)
    cosines = xp.where(keep, xp.clip(cosines, -1.0, 1.0), identity)
    norms = xp.where(finite, norms, xp.full_like(norms, float("nan")))
    return norms, (cosines + xp.transpose(cosines)) / 2, active


def relative_inverses(xp: Namespace, norms: Tensor, active: Tensor) -> Tensor:
    """Returns the smallest active norm divided by each, 0 if not active."""
    infinite = xp.full_like(norms, float("inf"))
    shortest = xp.min(xp.where(active, norms, infinite))
    shortest = xp.where(xp.any(active), shortest, xp.ones_like(shortest))
    return xp.where(active, shortest / norms, xp.zeros_like(norms))


def relative_sizes(xp: Namespace, norms: Tensor, active: Tensor) -> Tensor:
    """Returns each norm divided by the largest active, 0 if not active."""
    norms_or_zero = xp.where(active, norms, xp.zeros_like(norms))
    largest = xp.max(norms_or_zero)
    largest = xp.where(xp.any(active), largest, xp.ones_like(largest))
    return norms_or_zero / largest


def is_rounding_error(xp: Namespace, square: Tensor, total: Tensor) -> Tensor:
    """Tells whether a sum of rows is 0 up to the rounding errors of the rows.

    Args:
        xp: Namespace of array functions.
        square: The squared norm of the sum.
        total: The sum of the norms of its terms.

    Returns:
        Boolean tensor of their shape.
    """
    return square <= 8 * xp.epsilon * xp.square(total)


def solve_on_support(
    xp: Namespace, matrix: Tensor, target: Tensor, support: Tensor, ridge: float
) -> Tensor:
    """Solves `Q_SS v_S = c_S` with `v = 0` elsewhere, at a fixed shape.

    Args:
        xp: Namespace of array functions.
        matrix: Tensor `[K, K]`, symmetric with a diagonal of about 1.
        target: Tensor `[K]`, or `[R, K]` for R systems.
        support: Boolean tensor like `target`, the set `S`.
        ridge: Added to the diagonal.

    Returns:
        Tensor like `target`.
    """
    inside = xp.cast(support, matrix.dtype)
    identity = xp.eye(matrix.shape[0], dtype=matrix.dtype)
    masked = matrix * (inside[..., :, None] * inside[..., None, :])
    masked = masked + identity * ((1.0 - inside) + ridge)[..., None, :]
    return xp.solve_positive(masked, target * inside)


def pseudo_inverse_product(
    xp: Namespace, matrix: Tensor, target: Tensor, floor: float = 0.0
) -> Tensor:
    """Returns `pinv(A) b` for a symmetric positive semi-definite `A`.

    The rank rule: eigenvalues up to `4 K eps` times the largest are taken
    for rounding errors of zero.

    Args:
        xp: Namespace of array functions.
        matrix: Finite tensor `[K, K]`, symmetric, largest entry about 1.
        target: Tensor `[K]`.
        floor: Eigenvalues up to this count as zero, too. Defaults to 0.

    Returns:
        Tensor `[K]`.
    """
    values, vectors = xp.eigh(matrix)
    kept = values > xp.maximum(
        rank_tolerance(xp, matrix) * xp.max(values), floor
    )
    inverses = xp.where(
        kept,
        1.0 / xp.where(kept, values, xp.ones_like(values)),
        xp.zeros_like(values),
    )
    return xp.matmul(vectors, inverses * xp.matmul(target, vectors))


def has_full_rank(xp: Namespace, matrix: Tensor) -> Tensor:
    """Tells whether no eigenvalue is zero by the rank rule."""
    values, _ = xp.eigh(matrix)
    return xp.min(values) > rank_tolerance(xp, matrix) * xp.max(values)


def rank_tolerance(xp: Namespace, matrix: Tensor) -> float:
    """Returns the relative size up to which an eigenvalue counts as zero."""
    # Those of rounding errors are below `K eps`.
    return 4 * matrix.shape[0] * xp.epsilon
