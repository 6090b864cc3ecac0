"""Learned task weights that equalise training rates."""

from typing import Any

from keras import ops

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.aggregators.task_weights import at_least_one
from keras_mtl.aggregators.task_weights import power
from keras_mtl.aggregators.task_weights import required_losses
from keras_mtl.aggregators.task_weights import undefined_below
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.solvers.simplex import graph_softmax
from keras_mtl.typing import Tensor

#: Losses are taken for at least and at most this.
SMALLEST_LOSS = 1e-8
LARGEST_LOSS = 1e28


@keras_mtl_export("keras_mtl.aggregators.GradNorm")
class GradNorm(Aggregator):
    """Learned weights that give slow tasks the larger gradients.

    A task is slow if its loss has fallen less than those of the others since
    its first step. The weights are trained so that the norms of the weighted
    gradients follow the slowness. Needs the norms of the gradients alone, no
    inner products. It does not look for conflicts.

    With logits `s` and losses `l_k`, `l_k(0)` in the first step of the task:

    `w = K softmax(s)`, `d = sum_k w_k g_k`

    `r_k = (l_k / l_k(0)) / mean_j (l_j / l_j(0))`

    `s = s - learning_rate grad_s sum_k | ||w_k g_k|| - c_k |` where the target
    `c_k = r_k^alpha mean_j ||w_j g_j||` is taken for a constant

    The update uses the weights before the step of the logits. K and the means
    are over the tasks that are present; a task that is absent keeps its logit
    and its first loss. Losses must be positive.

    Args:
        alpha: How strongly slow tasks are favoured, at least 0. With 0 all
            weighted gradients are pulled to the same norm. Defaults to `1.5`.
        learning_rate: Step size of the logits, positive. The gradient of the
            logits has the size of the task gradients: smaller gradients need
            a larger step size. Defaults to `0.025`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If an argument is outside its range, or, when called, if
            there are no losses.

    State:
        One logit and one first loss per task (0 before its first step).

    Example:

    ```python
    grad_norm = keras_mtl.aggregators.GradNorm()
    # The first step has equal weights.
    grad_norm([[1.0, 0.0], [0.0, 3.0]], losses=[1.0, 2.0])  # [1.0, 3.0]
    ```

    References:
        Chen et al., GradNorm: Gradient Normalization for Adaptive Loss
        Balancing in Deep Multitask Networks, ICML 2018, equations 1 and 2 and
        algorithm 1, [arXiv:1711.02257](https://arxiv.org/abs/1711.02257). The
        paper learns the weights themselves, divides them by their mean after
        every step, and takes the gradients of the last shared layer only.
        This takes all shared variables and a softmax, like LibMTL, whose
        first losses are epoch averages and whose logits are trained by the
        optimizer of the network. Here they have plain gradient descent.
    """

    needs_losses = True

    def __init__(
        self, alpha: float = 1.5, learning_rate: float = 0.025, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.alpha = checked_number("alpha", alpha)
        self.learning_rate = checked_number(
            "learning_rate", learning_rate, "(0, inf)"
        )
        self.logits: Any = None
        self.first_losses: Any = None

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        size = shapes[0][:1]
        self.logits = self.add_state("logits", size, dtype)
        self.first_losses = self.add_state("first_losses", size, dtype)

    def aggregate(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        losses = required_losses("GradNorm", losses, jacobian.dtype)
        if not jacobian.num_variables:
            return []
        dtype = self.logits.dtype
        present = presence(jacobian.num_tasks, mask, dtype)
        logits = ops.convert_to_tensor(self.logits)
        shares = graph_softmax(logits, present)
        weights = shares * ops.sum(present)
        rates = self._training_rates(ops.cast(losses, dtype), present)
        gradient = self._gradient(
            weights,
            shares,
            rates,
            ops.cast(jacobian.squared_norms(), dtype),
            present,
        )
        # An absent task has a gradient of 0, but not always bit for bit.
        self.logits.assign(
            ops.where(
                present > 0, logits - self.learning_rate * gradient, logits
            )
        )
        return jacobian.combine(undefined_below(0.0, weights, losses, mask))

    def _training_rates(self, losses: Tensor, present: Tensor) -> Tensor:
        """Returns `r_k^alpha`, and takes note of first losses."""
        zeros = ops.zeros_like(losses)
        first = ops.convert_to_tensor(self.first_losses)
        losses = ops.clip(losses, SMALLEST_LOSS, LARGEST_LOSS)
        new = ops.logical_and(present > 0, first <= 0)
        first = ops.where(new, losses, first)
        self.first_losses.assign(first)
        ratios = losses / ops.where(first > 0, first, 1.0 + zeros)
        ratios = ops.where(present > 0, ratios, zeros)
        largest = ops.amax(ratios)
        ratios = ratios / ops.where(largest > 0, largest, 1.0 + largest)
        mean = ops.sum(ratios) / at_least_one(ops.sum(present))
        rates = ratios / ops.where(mean > 0, mean, 1.0 + mean)
        return power(rates, self.alpha)

    def _gradient(
        self,
        weights: Tensor,
        shares: Tensor,
        rates: Tensor,
        squared_norms: Tensor,
        present: Tensor,
    ) -> Tensor:
        """Derivative of the sum of distances by the logits."""
        zeros = ops.zeros_like(weights)
        norms = weights * ops.sqrt(ops.where(present > 0, squared_norms, zeros))
        mean = ops.sum(norms) / at_least_one(ops.sum(present))
        slopes = ops.sign(norms - mean * rates) * norms
        return slopes - shares * ops.sum(slopes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "learning_rate": self.learning_rate,
        }
