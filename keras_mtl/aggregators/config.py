"""The conflict-free direction of the unit task gradients."""

from typing import Any

from keras_mtl.aggregators.preference import PreferenceAggregator
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.symmetric import pseudo_inverse_product
from keras_mtl.solvers.symmetric import rank_tolerance
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.ConFIG")
class ConFIG(PreferenceAggregator):
    """Direction at the same angle to every task gradient, adaptive in length.

    It serves all tasks at the same rate, whatever the size of their losses,
    and slows down by itself where gradients conflict. Made for the losses of
    physics-informed networks, whose scales differ by orders of magnitude.

    With the unit rows `u_k = g_k / ||g_k||` in `U`, and the preference `p`:

    `v = pinv(U) p`, `d = (sum_k <g_k, v>) v / ||v||^2`

    so that `<u_k, d>` is proportional to `p_k` if the rows are independent.
    The length of `d` is the sum of the projections of the task gradients.

    Zero rows are left out. If the rows are dependent, the pseudo-inverse
    decides, and eigenvalues of the cosines up to `4 K eps` times the largest
    count as zero. Opposed gradients of two tasks give zero.

    Args:
        preference: Optional sequence of non-negative numbers, one per task,
            not all 0. A common factor makes no difference. Defaults to
            `None`, all equal.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `preference` is not as above, or, when called, not as
            long as there are tasks.

    Example:

    ```python
    config = keras_mtl.aggregators.ConFIG()
    config([[1.0, 0.0], [0.0, 3.0]])  # [2.0, 2.0]
    ```

    References:
        Liu et al., ConFIG: Towards Conflict-free Training of Physics Informed
        Neural Networks, ICLR 2025, equation 2,
        [arXiv:2408.11104](https://arxiv.org/abs/2408.11104). Computed here
        from the Gramian, `pinv(U) = U^T pinv(U U^T)`, not from the rows.
    """

    def preferred_weights(
        self, xp: Namespace, gramian: Tensor, shares: Tensor, mask: Tensor
    ) -> Tensor:
        return conflict_free_weights(xp, gramian, shares, mask)


def conflict_free_weights(
    xp: Namespace, gramian: Tensor, preference: Any, mask: Tensor | None = None
) -> Tensor:
    """Returns the weights of the conflict-free direction.

    Args:
        xp: Namespace of array functions.
        gramian: Tensor `[K, K]`.
        preference: Tensor `[K]`.
        mask: Optional tensor `[K]`, positive for present tasks.

    Returns:
        Tensor `[K]`.
    """
    norms, cosines, active = unit_gramian(xp, gramian, mask)
    zeros = xp.zeros_like(norms)
    goal = xp.where(active, preference, zeros)
    # Rows that are not there are those of an identity matrix: with a goal of
    # 0 they do not take part.
    solved = pseudo_inverse_product(xp, cosines, goal)
    projections = xp.matmul(cosines, solved)
    square = xp.maximum(xp.dot(solved, projections), 0.0)
    largest = xp.max(xp.where(active, norms, zeros))
    largest = xp.where(xp.any(active), largest, xp.ones_like(largest))
    sizes = xp.where(active, norms / largest, zeros)
    length = xp.dot(sizes, projections)
    tolerance = rank_tolerance(xp, gramian)
    vanishing = square <= xp.square(tolerance * xp.sum(xp.abs(goal)))
    factor = length / xp.where(vanishing, xp.ones_like(square), square)
    weights = factor * solved * (largest / norms)
    return xp.where(
        xp.logical_or(vanishing, xp.logical_not(active)), 0.0 * norms, weights
    )
