"""The best direction for the worst task in a cone around the mean gradient."""

from typing import Any

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.cone_direction import cone_direction_weights
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.symmetric import present_tasks
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.ConicGrad")
class ConicGrad(GramianAggregator):
    """Direction in a cone around the mean gradient that serves the worst task.

    Like CAGrad, but the *angle* to the mean gradient is bounded, and the
    update has the length of the mean gradient: only its direction changes, so
    that the learning rate of plain training still fits.

    `d` maximises `min_k <g_k, d>` subject to `cos(g_0, d) >= c` and
    `||d|| = ||g_0||`, where `g_0` is the mean of the task gradients.

    The problem is solved exactly, through its dual. If no direction of the
    cone serves all tasks, `d` points along `c g_0 / ||g_0|| + u`, with the `u`
    orthogonal to `g_0` and not longer than `sqrt(1 - c^2)` that is best for
    the worst task. Zero rows count in `g_0` only.

    Args:
        c: Smallest cosine of the angle to the mean gradient, in (0, 1]. With
            1 the update is the mean; towards 0 it has the direction of MGDA
            wherever that exists. Defaults to `0.5`, an angle of 60 degrees;
            it is meant to be tuned.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `c` is not in (0, 1].

    Example:

    ```python
    conicgrad = keras_mtl.aggregators.ConicGrad(c=0.5)
    conicgrad([[1.0, 0.0], [0.0, 3.0]])  # [1.5, 0.5]
    ```

    References:
        Hassanpour et al., Fantastic Multi-Task Gradient Updates and How to
        Find Them In a Cone, 2025,
        [arXiv:2502.00217](https://arxiv.org/abs/2502.00217). The paper has a
        closed form of `d` for given dual weights; here the weights, too, are
        those of the solution.
    """

    def __init__(self, c: float = 0.5, **kwargs: Any):
        super().__init__(**kwargs)
        self.c = checked_number("c", c, "(0, 1]")

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        def solve(
            xp: Namespace, gramian: Tensor, mask: Tensor | None
        ) -> Tensor:
            if self.c == 1:
                present = present_tasks(xp, gramian, mask)
                present = xp.cast(present, gramian.dtype)
                return present / xp.maximum(xp.sum(present), 1.0)
            return cone_direction_weights(xp, gramian, self.c, mask)

        return run(solve, gramian, mask)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "c": self.c}
