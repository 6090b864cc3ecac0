"""Projection of the mean gradient onto the dual cone."""

from collections.abc import Sequence
from typing import Any

from keras_mtl.aggregators.preference import PreferenceAggregator
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.dual_cone import dual_cone_weights
from keras_mtl.solvers.dual_cone import regularized
from keras_mtl.solvers.symmetric import present_tasks
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.DualProj")
class DualProj(PreferenceAggregator):
    """Vector nearest to the mean gradient that makes no task worse.

    It is the mean itself where that conflicts with no task. Where it does,
    as little as possible is changed; the tasks in conflict then just do not
    get worse, while `keras_mtl.aggregators.UPGrad` lets all of them gain.

    `d = argmin_u ||u - J^T p||` subject to `<g_k, u> >= 0` for all `k`, with
    the preference `p`, by default `1 / K`

    The problem is solved exactly, by an active-set method.

    Args:
        preference: One non-negative number per task. Defaults to `None`,
            the mean of the present tasks.
        norm_eps: The gradients count as zero, and nothing is projected, where
            the sum of their squared norms is smaller. Defaults to `0.0`.
        reg_eps: Added to the diagonal of the Gramian after it was divided by
            its trace. Defaults to `0.0`: nothing. A library that solves the
            problem by a general-purpose method has 1e-4 for both; the
            conflicts left are then of that relative size.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If a preference is negative or not finite, if all are 0,
            if their number is not the number of tasks, or if `norm_eps` or
            `reg_eps` is negative.

    Example:

    ```python
    dual_proj = keras_mtl.aggregators.DualProj()
    dual_proj([[1.0, 0.0], [-3.0, 1.0]])  # [0.0, 0.5]
    ```

    References:
        Lopez-Paz and Ranzato, Gradient Episodic Memory for Continual
        Learning, NeurIPS 2017, equation 11; Quinton and Rey, Jacobian Descent
        for Multi-Objective Optimization, 2024, section 4,
        [arXiv:2406.16232](https://arxiv.org/abs/2406.16232).
    """

    def __init__(
        self,
        preference: Sequence[float] | None = None,
        norm_eps: float = 0.0,
        reg_eps: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(preference, **kwargs)
        self.norm_eps = checked_number("norm_eps", norm_eps)
        self.reg_eps = checked_number("reg_eps", reg_eps)

    def preferred_weights(
        self, xp: Namespace, gramian: Tensor, shares: Tensor, mask: Tensor
    ) -> Tensor:
        present = xp.cast(present_tasks(xp, gramian, mask), gramian.dtype)
        scaled, vanishes = regularized(
            xp, gramian, self.norm_eps, self.reg_eps, present
        )
        weights = self.project(xp, scaled, shares, mask)
        return xp.where(vanishes, shares, weights)

    def project(
        self, xp: Namespace, gramian: Tensor, shares: Tensor, mask: Tensor
    ) -> Tensor:
        """Returns the weights for a (regularised) Gramian."""
        return dual_cone_weights(xp, gramian, shares, mask)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "norm_eps": self.norm_eps,
            "reg_eps": self.reg_eps,
        }
