"""Where the mean of the task gradients lies among them."""

from typing import NamedTuple

from keras_mtl.solvers.symmetric import is_rounding_error
from keras_mtl.solvers.symmetric import present_tasks
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


class MeanRow(NamedTuple):
    """The mean `g_0` of rows, in the units of rows of norm 1.

    Attributes:
        norms: Tensor `[K]` of the norms of the rows.
        cosines: Tensor `[K, K]` of the cosines between them.
        active: Bool tensor `[K]`: the row is present and not zero.
        mean: Tensor `[K]`, the weights of the mean over present rows.
        largest: Scalar, the largest norm; 1 if all rows are zero.
        length: Scalar, the norm of `g_0` in units of the largest; 1 where it
            vanishes.
        vanishing: Bool scalar: `g_0` is 0 up to rounding errors.
        projections: Tensor `[K]`: cosines between the rows and `g_0`, up to
            rounding errors.
    """

    norms: Tensor
    cosines: Tensor
    active: Tensor
    mean: Tensor
    largest: Tensor
    length: Tensor
    vanishing: Tensor
    projections: Tensor


def mean_row(
    xp: Namespace,
    gramian: Tensor,
    mask: Tensor | None = None,
    shares: Tensor | None = None,
) -> MeanRow:
    """Returns where the mean of the rows lies.

    Args:
        xp: Namespace of array functions.
        gramian: Tensor `[K, K]`.
        mask: Optional tensor `[K]`, positive for present tasks.
        shares: Optional tensor `[K]` of weights of the rows, 0 for absent
            tasks. Defaults to `None`, the mean of the present ones.
    """
    norms, cosines, active = unit_gramian(xp, gramian, mask)
    mean = shares
    if mean is None:
        present = xp.cast(present_tasks(xp, gramian, mask), gramian.dtype)
        mean = present / xp.maximum(xp.sum(present), 1.0)
    zeros = xp.zeros_like(norms)
    largest = xp.max(xp.where(active, norms, zeros))
    largest = xp.where(xp.any(active), largest, xp.ones_like(largest))
    average = xp.where(active, mean * (norms / largest), zeros)
    products = xp.matmul(cosines, average)
    square = xp.dot(average, products)
    vanishing = is_rounding_error(xp, square, xp.sum(average))
    length = xp.sqrt(xp.where(vanishing, xp.ones_like(square), square))
    return MeanRow(
        norms,
        cosines,
        active,
        mean,
        largest,
        length,
        vanishing,
        products / length,
    )
