"""Multiple gradient descent: the shortest vector in the hull of the rows."""

from typing import Any

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.aggregators.task_weights import required_losses
from keras_mtl.aggregators.task_weights import undefined_below
from keras_mtl.arguments import checked_choice
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.min_norm import min_norm_weights
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.symmetric import SMALLEST_SQUARE
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

NORMALIZATIONS = (None, "l2", "loss", "loss+")

#: Losses are taken for at least this where gradients are divided by them.
SMALLEST_LOSS = 1e-8


@keras_mtl_export("keras_mtl.aggregators.MGDA")
class MGDA(GramianAggregator):
    """Shortest vector in the convex hull of the task gradients.

    No step along it makes a task worse, to first order, and it is zero
    exactly where no such step exists. It leans to the tasks with small
    gradients; a task whose gradient is zero stops all of them. Prefer it
    where every task must get better.

    `d = J^T w` with `w` that minimises `||J^T w||^2` over `w >= 0`,
    `w_1 + ... + w_K = 1`

    The problem is solved exactly, by an active-set method.

    Args:
        normalization: How the gradients are scaled before:

            - `None`: not at all;
            - `"l2"`: `g_k / ||g_k||`;
            - `"loss"`: `g_k / loss_k`;
            - `"loss+"`: `g_k / (loss_k ||g_k||)`.

            The update is the combination of the *scaled* gradients. Zero
            rows stay zero rows. Losses must be positive; those below 1e-8
            are taken for 1e-8. Defaults to `None`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `normalization` is none of these, or, when called, if
            it needs losses and there are none.

    Example:

    ```python
    mgda = keras_mtl.aggregators.MGDA()
    mgda([[1.0, 0.0], [0.0, 2.0]])  # [0.8, 0.4]
    ```

    References:
        Désidéri, Multiple-gradient descent algorithm (MGDA), Comptes Rendus
        Mathématique 350, 2012; Sener and Koltun, Multi-Task Learning as
        Multi-Objective Optimization, NeurIPS 2018, equation 3 and
        supplement for the normalisations,
        [arXiv:1810.04650](https://arxiv.org/abs/1810.04650). The authors'
        code stops a Frank-Wolfe iteration early, and for two tasks keeps the
        weights between 0.001 and 0.999; this does neither. Some scripts
        multiply the result by K.
    """

    def __init__(self, normalization: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.normalization = checked_choice(
            "normalization", normalization, NORMALIZATIONS
        )
        self.needs_losses = normalization in ("loss", "loss+")

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        if self.normalization is None:
            return run(min_norm_weights, gramian, mask)
        if self.needs_losses:
            losses = required_losses(
                f"MGDA with normalization={self.normalization!r}",
                losses,
                gramian.dtype,
            )

        def solve(
            xp: Namespace,
            gramian: Tensor,
            mask: Tensor | None,
            losses: Tensor | None,
        ) -> Tensor:
            scales = xp.ones_like(xp.diagonal(gramian))
            if self.normalization != "l2":
                scales = scales / xp.maximum(losses, SMALLEST_LOSS)
            if self.normalization != "loss":
                diagonal = xp.diagonal(gramian)
                scales = scales / xp.sqrt(
                    xp.where(
                        diagonal > SMALLEST_SQUARE,
                        diagonal,
                        xp.ones_like(diagonal),
                    )
                )
            # One side after the other: the product of two may overflow.
            scaled = gramian * scales[:, None] * scales[None, :]
            return scales * min_norm_weights(xp, scaled, mask)

        weights = run(solve, gramian, mask, losses)
        if not self.needs_losses:
            return weights
        return undefined_below(0.0, weights, losses, mask)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "normalization": self.normalization}
