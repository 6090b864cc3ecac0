"""Unconflicting projections of the gradients."""

from keras_mtl.aggregators.dual_proj import DualProj
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.dual_cone import dual_cone_weights
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.UPGrad")
class UPGrad(DualProj):
    """Mean of the task gradients, each made to conflict with none.

    Each task gradient is projected onto the cone of directions that make no
    task worse, and the results are averaged. Unlike MGDA it does not favour
    small gradients, and a task's influence grows with its gradient: scaling
    one task's gradient scales its part of the update. A safe choice where no
    task may get worse.

    `d = sum_k p_k argmin_u {||u - g_k|| : <g_i, u> >= 0 for all i}` with the
    preference `p`, by default `1 / K`

    The K problems are solved exactly and side by side, by an active-set
    method.

    Args:
        preference: One non-negative number per task. Defaults to `None`,
            the mean over the present tasks.
        norm_eps: The gradients count as zero, and nothing is projected, where
            the sum of their squared norms is smaller. Defaults to `0.0`.
        reg_eps: Added to the diagonal of the Gramian after it was divided by
            its trace. Defaults to `0.0`: nothing. A library that solves the
            problems by a general-purpose method has 1e-4 for both; the
            conflicts left are then of that relative size.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If a preference is negative or not finite, if all are 0,
            if their number is not the number of tasks, or if `norm_eps` or
            `reg_eps` is negative.

    Example:

    ```python
    upgrad = keras_mtl.aggregators.UPGrad()
    upgrad([[1.0, 0.0], [-1.0, 1.0]])  # [0.25, 0.75]
    ```

    References:
        Quinton and Rey, Jacobian Descent for Multi-Objective Optimization,
        2024, equation 5,
        [arXiv:2406.16232](https://arxiv.org/abs/2406.16232).
    """

    def project(
        self, xp: Namespace, gramian: Tensor, shares: Tensor, mask: Tensor
    ) -> Tensor:
        identity = xp.eye(gramian.shape[0], dtype=gramian.dtype)
        projections = dual_cone_weights(xp, gramian, identity, mask)
        return xp.sum(shares[:, None] * projections, axis=0)
