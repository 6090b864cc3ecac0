"""Independent component alignment: task gradients made orthogonal."""

from collections.abc import Sequence
from typing import Any

from keras_mtl.aggregators.preference import PreferenceAggregator
from keras_mtl.arguments import checked_choice
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.symmetric import present_tasks
from keras_mtl.solvers.symmetric import relative_sizes
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

SCALE_MODES = ("min", "median", "rmse")


@keras_mtl_export("keras_mtl.aggregators.AlignedMTL")
class AlignedMTL(PreferenceAggregator):
    """Task gradients replaced by the nearest orthogonal ones of equal length.

    The update of orthogonal gradients of the same length has no conflicts and
    no dominant task. The method removes both at once, and is stable where
    gradients are nearly parallel. Prefer it where a few directions dominate
    all tasks; steps are short, because the common length is that of the
    weakest direction.

    With the eigenvalues `s_1 >= ... >= s_r > 0` and eigenvectors `V` of the
    Gramian `G = J J^T`:

    `d = J^T B p` with `B = sqrt(s) V diag(s_i^-0.5) V^T`

    where `s` is the smallest, the median or the mean eigenvalue, and `p` the
    preference.

    Eigenvalues up to `K eps` times the largest count as zero and are left
    out, with the machine epsilon of the gradients. If all are zero, the update
    is zero.

    Args:
        scale_mode: `"min"`, `"median"` (of an even number, the lower one) or
            `"rmse"` (the mean) of the eigenvalues that are not zero. Defaults
            to `"min"`.
        preference: Optional sequence of non-negative numbers, one per task,
            not all 0. They are used as they are: they need not sum to 1, and
            those of the other tasks do not change where a task is absent.
            Defaults to `None`, 1 / K for K tasks that are present.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `scale_mode` or `preference` is none of these, or, when
            called, if `preference` is not as long as there are tasks.

    Example:

    ```python
    aligned_mtl = keras_mtl.aggregators.AlignedMTL()
    aligned_mtl([[1.0, 0.0], [0.0, 3.0]])  # [0.5, 0.5]
    ```

    References:
        Senushkin et al., Independent Component Alignment for Multi-Task
        Learning, CVPR 2023, algorithm 1,
        [arXiv:2305.19000](https://arxiv.org/abs/2305.19000). The scale of the
        default preference is that of TorchJD; LibMTL has ones, which gives K
        times this update.
    """

    def __init__(
        self,
        scale_mode: str = "min",
        preference: Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(preference, **kwargs)
        self.scale_mode = checked_choice("scale_mode", scale_mode, SCALE_MODES)

    def preferred_weights(
        self, xp: Namespace, gramian: Tensor, shares: Tensor, mask: Tensor
    ) -> Tensor:
        return _balanced(xp, gramian, shares, mask, self.scale_mode)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale_mode": self.scale_mode}


def _balanced(
    xp: Namespace,
    gramian: Tensor,
    preference: Tensor | None,
    mask: Tensor | None,
    scale_mode: str,
) -> Tensor:
    num_tasks = gramian.shape[0]
    norms, cosines, active = unit_gramian(xp, gramian, mask)
    # One common scale changes nothing; several would turn the eigenvectors.
    sizes = relative_sizes(xp, norms, active)
    sizes = xp.where(xp.isfinite(sizes), sizes, xp.ones_like(sizes))
    values, vectors = xp.eigh(cosines * sizes[:, None] * sizes[None, :])
    present = xp.cast(present_tasks(xp, gramian, mask), gramian.dtype)
    tolerance = xp.epsilon * xp.sum(present)
    kept = values > tolerance * xp.max(values)
    ones = xp.ones_like(values)
    rank = xp.sum(xp.cast(kept, "int32"))
    if scale_mode == "rmse":
        total = xp.sum(xp.where(kept, values, xp.zeros_like(values)))
        scale = total / xp.maximum(xp.cast(rank, values.dtype), 1.0)
    else:
        # The eigenvalues ascend: those that are kept are the last ones.
        place = num_tasks - xp.maximum(rank, 1)
        if scale_mode == "median":
            place = place + xp.maximum(rank - 1, 0) // 2
        chosen = xp.equal(xp.arange(num_tasks, dtype="int32"), place)
        scale = xp.sum(xp.where(chosen, values, xp.zeros_like(values)))
    ratios = xp.maximum(scale, 0.0) / xp.where(kept, values, ones)
    factors = xp.where(kept, xp.sqrt(ratios), xp.zeros_like(values))
    weights = xp.matmul(vectors, factors * xp.matmul(preference, vectors))
    # The norms are NaN if anything in the Gramian was not finite.
    return xp.where(active, weights, xp.zeros_like(weights)) + 0.0 * norms
