"""Conflict-averse gradient descent."""

from collections.abc import Sequence
from typing import Any

from keras_mtl.aggregators.preference import PreferenceAggregator
from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.common_direction import common_direction_weights
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.CAGrad")
class CAGrad(PreferenceAggregator):
    """Direction near the mean gradient that serves the worst task best.

    It stays a descent direction of the mean loss for `c < 1`, so that
    training converges to a minimum of it, and reduces conflicts on the way: a
    safe first choice.

    `d` maximises `min_k <g_k, d>` subject to `||d - g_0|| <= c ||g_0||`,
    where `g_0` is the mean of the task gradients, or their sum weighed by a
    preference; the update is `d` divided
    by 1, `1 + c^2` or `1 + c`.

    The problem is solved exactly. Where its solution is not unique (a zero
    row, 0 on the boundary of the convex hull), the answer is still finite and
    optimal; zero rows count in `g_0` only.

    Args:
        c: How far to go from the mean gradient, relative to its length, at
            least 0. `c=0` is the mean; for large values it comes near to
            MGDA. Defaults to `0.4`.
        rescale: 0 for `d` itself, 1 for `d / (1 + c^2)`, 2 for
            `d / (1 + c)`. Defaults to `1`. A single task gets its gradient
            times 1 + c, so rescaled.
        preference: One non-negative number per task, their weights in `g_0`.
            Defaults to `None`, the mean of the present tasks.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `c` is negative, `rescale` not 0, 1 or 2, or a
            preference negative or not finite.

    Example:

    ```python
    cagrad = keras_mtl.aggregators.CAGrad(c=0.5)
    cagrad([[1.0, 0.0], [-0.5, 1.0]])  # about [0.366, 0.549]
    ```

    References:
        Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning,
        NeurIPS 2021, equation 1 and algorithm 1,
        [arXiv:2110.14048](https://arxiv.org/abs/2110.14048). The paper has
        `d` itself; `rescale=1` is the default of the authors' code, which
        finds `d` by a general-purpose solver that stops early. Some libraries
        multiply by the number of tasks.
    """

    def __init__(
        self,
        c: float = 0.4,
        rescale: int = 1,
        preference: Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(preference, **kwargs)
        self.c = checked_number("c", c)
        self.rescale = checked_choice("rescale", rescale, (0, 1, 2))

    def preferred_weights(
        self, xp: Namespace, gramian: Tensor, shares: Tensor, mask: Tensor
    ) -> Tensor:
        divisor = (1.0, 1.0 + self.c**2, 1.0 + self.c)[self.rescale]
        weights = common_direction_weights(xp, gramian, self.c, mask, shares)
        return weights / divisor

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "c": self.c,
            "rescale": self.rescale,
        }
