"""Group optimization for multi-task alignment."""

from typing import Any

from keras import ops

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.aggregators.task_weights import multiplied_weights
from keras_mtl.aggregators.task_weights import required_losses
from keras_mtl.aggregators.task_weights import undefined_below
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.solvers.grouping import group_means
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.simplex import masked_softmax
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

#: Losses are taken for at least and at most this.
SMALLEST_LOSS = 1e-8
LARGEST_LOSS = 1e15


@keras_mtl_export("keras_mtl.aggregators.GO4Align")
class GO4Align(Aggregator):
    """Weights for groups of tasks that learn alike, from the losses alone.

    Losses are brought to one scale, tasks whose risks have been alike so far
    form a group, and all tasks of a group get the same weight. It never looks
    at the gradients: no inner products, and no conflict is seen. For many
    tasks with losses of different scales.

    In every step, with losses `l_k` and indicators `p_k` of the risk so far:

    `p_k = p_k exp(-robust_step_size l_k)`, divided by their sum

    `v_k = p_k (l_1 + ... + l_K) / l_k`

    `w_k` is the mean of `v` over the group of `k`, `d = sum_k w_k g_k`

    The groups are those of k-means on the numbers `v_k`, solved exactly, so
    that there is nothing random. The indicators start from `1 / K`. A task
    that is absent keeps its indicator. Losses must be positive.

    Args:
        num_groups: Largest number of groups. With 1, all tasks have the same
            weight; from K on, every task has its own. Defaults to `2`.
        robust_step_size: Step size of the indicators, at least 0. Defaults to
            `1e-4`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If an argument is outside its range, or, when called, if
            there are no losses.

    State:
        The logarithm of one indicator per task.

    Example:

    ```python
    go4align = keras_mtl.aggregators.GO4Align(robust_step_size=0.0)
    go4align([[1.0, 0.0], [0.0, 1.0]], losses=[1.0, 3.0])  # [2.0, 0.6667]
    ```

    References:
        Shen et al., GO4Align: Group Optimization for Multi-Task Alignment,
        NeurIPS 2024, [arXiv:2404.06486](https://arxiv.org/abs/2404.06486).
        Formulas and the step size are those of the authors' code, which runs
        k-means from a random start in every step, and whose default is one
        group.
    """

    needs_losses = True

    def __init__(
        self, num_groups: int = 2, robust_step_size: float = 1e-4, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.num_groups = checked_integer("num_groups", num_groups)
        self.robust_step_size = checked_number(
            "robust_step_size", robust_step_size
        )
        self.logits: Any = None

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        self.logits = self.add_state("logits", (shapes[0][0],), dtype)

    def aggregate(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        losses = required_losses("GO4Align", losses, jacobian.dtype)
        if not jacobian.num_variables:
            return []
        dtype = self.logits.dtype
        present = presence(jacobian.num_tasks, mask, dtype)
        losses = ops.cast(losses, dtype)
        clipped = ops.clip(losses, SMALLEST_LOSS, LARGEST_LOSS)
        logits = multiplied_weights(
            ops.convert_to_tensor(self.logits),
            -self.robust_step_size * clipped,
            present,
        )
        self.logits.assign(logits)
        weights = run(self._group_weights, logits, clipped, present)
        return jacobian.combine(undefined_below(0.0, weights, losses, mask))

    def _group_weights(
        self, xp: Namespace, logits: Tensor, losses: Tensor, mask: Tensor
    ) -> Tensor:
        total = xp.sum(xp.where(mask > 0, losses, xp.zeros_like(losses)))
        values = masked_softmax(xp, logits, mask) * (total / losses)
        return group_means(xp, values, self.num_groups, mask)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_groups": self.num_groups,
            "robust_step_size": self.robust_step_size,
        }
