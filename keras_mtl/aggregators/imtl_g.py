"""Impartial multi-task learning, the gradient part."""

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.symmetric import has_full_rank
from keras_mtl.solvers.symmetric import pseudo_inverse_product
from keras_mtl.solvers.symmetric import rank_tolerance
from keras_mtl.solvers.symmetric import relative_inverses
from keras_mtl.solvers.symmetric import relative_sizes
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.IMTLG")
class IMTLG(GramianAggregator):
    """Direction with the same projection onto every task gradient.

    No task is favoured, whatever the size of its loss. Weights may be
    negative, and can be large where gradients conflict; the common projection
    may then be negative too, so that all tasks get worse alike.

    `d = J^T w` with `<d, g_i / ||g_i||>` the same for all `i` and
    `w_1 + ... + w_K = 1`, that is, `w` proportional to
    `pinv(G) sqrt(diag(G))` with `G = J J^T`

    Zero rows are left out. If the weights sum to 0 (opposed gradients), no
    scale satisfies the conditions and the update is zero. If the rows are
    linearly dependent, the conditions may have many solutions or none, and
    the pseudo-inverse decides. In float32, dependent means: the
    smallest eigenvalue of the cosines is below about `5e-7 K` times the
    largest.

    Args:
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Example:

    ```python
    imtl_g = keras_mtl.aggregators.IMTLG()
    imtl_g([[1.0, 0.0], [0.0, 3.0]])  # [0.75, 0.75]
    ```

    References:
        Liu et al., Towards Impartial Multi-task Learning, ICLR 2021,
        equations 4 to 6. The closed form there is not defined for dependent
        or zero rows; the convention for these is that of TorchJD.
    """

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        return run(impartial_weights, gramian, mask)


def impartial_weights(
    xp: Namespace, gramian: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Returns `pinv(G) sqrt(diag(G))`, normalised to sum 1.

    Args:
        xp: Namespace of array functions.
        gramian: Tensor `[K, K]`.
        mask: Optional tensor `[K]`, positive for present tasks.

    Returns:
        Tensor `[K]`.
    """
    norms, cosines, active = unit_gramian(xp, gramian, mask)
    ones = xp.cast(active, gramian.dtype)
    sizes = relative_sizes(xp, norms, active)
    # Eigenvalues of NaN are an error on the host.
    sizes = xp.where(xp.isfinite(sizes), sizes, xp.ones_like(sizes))
    # The inverse does not care about the norms, the pseudo-inverse does.
    dependent = pseudo_inverse_product(
        xp, cosines * sizes[:, None] * sizes[None, :], sizes
    )
    identity = xp.eye(gramian.shape[0], dtype=gramian.dtype)
    full_rank = has_full_rank(xp, cosines)
    solved = xp.solve_positive(xp.where(full_rank, cosines, identity), ones)
    independent = solved * relative_inverses(xp, norms, active)
    weights = xp.where(full_rank, independent, dependent)
    total = xp.sum(weights)
    size = xp.maximum(xp.sum(xp.abs(weights)), xp.max(sizes))
    vanishing = xp.abs(total) <= 10 * rank_tolerance(xp, gramian) * size
    total = xp.where(vanishing, xp.ones_like(total), total)
    weights = xp.where(vanishing, xp.zeros_like(weights), weights / total)
    # The norms are NaN if anything in the Gramian was not finite.
    return weights + 0 * norms
