"""Fair resource allocation among the tasks."""

from typing import Any

import keras
from keras import ops

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.fair import fair_weights
from keras_mtl.solvers.namespace import run
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.FairGrad")
class FairGrad(GramianAggregator):
    """Update whose gain is shared fairly among the tasks.

    A task gains `<g_k, d>` by a step along `d`. The update maximises the sum
    of a concave utility of the gains, so that what one task gets more counts
    less than what another would lack. It makes all tasks better where that is
    possible, and does not depend on how the losses are scaled for `alpha=1`.

    `d = J^T w` with `w > 0` and `(J J^T w)_k = w_k^(-1/alpha)`

    The update does not shrink with the gradients: for `alpha=1` its norm is
    always `sqrt(K)`. Let the learning rate fall, or limit the norm.

    `alpha=1` is proportional fairness, the solution of Nash-MTL; the larger
    `alpha`, the more the update serves the task that gains least; near 0 it
    serves the sum.

    The equations are solved by a safeguarded Newton method. They have no
    solution where 0 is in the convex hull of the task gradients: no direction
    makes all tasks better. There the answer is that of a regularised problem,
    whose cosines have 1e-4 (1e-8 for float64 gradients) on top of their
    diagonal: finite, and nearly zero in the directions of the conflict. `fit`
    logs how many steps of an epoch were like that. Zero rows are left out.

    Args:
        alpha: Number of at least 0, the aversion to inequality. With 0, which
            has none, the update is the sum of the task gradients. Defaults to
            `1.0`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `alpha` is negative or not finite.

    State:
        The number of calls whose problem had to be regularised.

    Example:

    ```python
    fairgrad = keras_mtl.aggregators.FairGrad()
    fairgrad([[1.0, 0.0], [0.0, 4.0]])  # [1.0, 1.0]
    ```

    References:
        Ban and Ji, Fair Resource Allocation in Multi-Task Learning, ICML
        2024, equation 4, [arXiv:2402.15638](https://arxiv.org/abs/2402.15638).
        Published code solves the equations by least squares from `1 / K` and
        returns where that stops.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = checked_number("alpha", alpha)
        self.regularized_calls: Any = None

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        self.regularized_calls = self.add_state(
            "regularized_calls", dtype="int32"
        )

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        return self.solve(gramian, mask)

    def solve(self, gramian: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns the weights, and counts the problems without a solution."""

        if self.alpha == 0:
            # Utilities are the gains themselves.
            dtype = keras.backend.standardize_dtype(gramian.dtype)
            return presence(int(gramian.shape[0]), mask, dtype)

        def solve(
            xp: Namespace, gramian: Tensor, mask: Tensor | None
        ) -> Tensor:
            weights, regularized = fair_weights(xp, gramian, self.alpha, mask)
            flag = xp.cast(regularized, gramian.dtype)
            return xp.concatenate([weights, xp.reshape(flag, (1,))], axis=0)

        solved = run(solve, gramian, mask)
        if self.regularized_calls is not None:
            flag = ops.cast(solved[-1] > 0.5, "int32")
            self.regularized_calls.assign(ops.add(self.regularized_calls, flag))
        return solved[:-1]

    def notices(self) -> list[str]:
        calls = self.read_and_reset(self.regularized_calls)
        if not calls:
            return []
        return [
            f"{type(self).__name__}: no direction made every task better in "
            f"{calls} step(s) of this epoch (0 is in the convex hull of the "
            "task gradients). These took the answer of the regularised "
            "problem."
        ]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}
