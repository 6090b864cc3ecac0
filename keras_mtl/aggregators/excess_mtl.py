"""Task weights that follow the excess risks."""

from typing import Any

from keras import ops

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.aggregators.task_weights import multiplied_weights
from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.solvers.simplex import graph_softmax
from keras_mtl.solvers.symmetric import SMALLEST_SQUARE
from keras_mtl.typing import Tensor

#: Added to the sums of squares that gradients are divided by the root of.
EPSILON = 1e-7


@keras_mtl_export("keras_mtl.aggregators.ExcessMTL")
class ExcessMTL(Aggregator):
    """More weight to tasks that are still far from their own optimum.

    The distance is the excess risk, estimated from the gradient and a
    diagonal curvature; unlike a loss it goes to 0 at the optimum also where
    labels are noisy, so that noisy tasks do not take over. It needs memory
    for one sum of squares per task.

    In every step, entry by entry for the gradient `g_k` of task `k`:

    `S_k = S_k + g_k^2`, `e_k = sum g_k^2 / sqrt(S_k + 1e-7)`

    `w_k = w_k exp(robust_step_size e_k / b_k)`, divided by the sum

    `d = K sum_k w_k g_k`

    The baseline `b_k` is the mean of `e_k` over the first
    `num_warmup_steps` steps of the task, in which its quotient counts as 1.
    While all tasks warm up, their weights are equal. A task that is absent
    keeps its sums, its weight and its step number. Steps in which the
    gradient of a task is zero do not count as warm-up.

    Args:
        robust_step_size: Step size of the weights, positive. Defaults to
            `0.01`.
        num_warmup_steps: Steps that make the baseline, at least 0. The paper
            takes those of three epochs. With 0, the first step is the
            baseline and its own excess risk is the quotient, in whatever
            units it is. Defaults to `1`.
        scale: Sum of the weights: `"sum"`, the number of tasks that are
            present, or `"mean"`, 1. Defaults to `"sum"`.
        epsilon: Added to the baseline, at least 0. Defaults to `0.0`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If an argument is outside its range.

    State:
        One sum of squares `[K, *shape]` per variable; one logarithm of the
        weight, one baseline and one step number per task.

    Example:

    ```python
    excess_mtl = keras_mtl.aggregators.ExcessMTL()
    excess_mtl([[1.0, 0.0], [0.0, 3.0]])  # the first step: [1.0, 3.0]
    ```

    References:
        He et al., Robust Multi-Task Learning with Excess Risks, ICML 2024,
        equations 6, 7 and 9, [arXiv:2402.02009](
        https://arxiv.org/abs/2402.02009). The defaults are what LibMTL and
        the authors' code do. TorchJD's weights have sum 1, as the paper's
        have, and it warms up for `n_warmup_steps` steps, 0 by default:
        `ExcessMTL(num_warmup_steps=n_warmup_steps, scale="mean",
        epsilon=1e-7)`.
    """

    keeps_rows = True

    def __init__(
        self,
        robust_step_size: float = 0.01,
        num_warmup_steps: int = 1,
        scale: str = "sum",
        epsilon: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.robust_step_size = checked_number(
            "robust_step_size", robust_step_size, "(0, inf)"
        )
        self.num_warmup_steps = checked_integer(
            "num_warmup_steps", num_warmup_steps, 0
        )
        self.scale = checked_choice("scale", scale, ("sum", "mean"))
        self.epsilon = checked_number("epsilon", epsilon)
        self.square_sums: list[Any] = []
        self.steps: Any = None
        self.baselines: Any = None
        self.logits: Any = None

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        num_tasks = shapes[0][0]
        self.steps = self.add_state("steps", (num_tasks,), dtype)
        self.baselines = self.add_state("baselines", (num_tasks,), dtype)
        self.logits = self.add_state("logits", (num_tasks,), dtype)
        self.square_sums = [
            self.add_state(f"square_sum_{index}", shape, dtype)
            for index, shape in enumerate(shapes)
        ]

    def aggregate(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        if not jacobian.num_variables:
            return []
        present = presence(jacobian.num_tasks, mask, self.logits.dtype)
        excess = self._excess_risks(jacobian, present)
        logits = self._update_weights(excess, present)
        weights = graph_softmax(logits, present)
        if self.scale == "sum":
            weights = weights * ops.sum(present)
        return jacobian.combine(weights)

    def _excess_risks(self, jacobian: Jacobian, present: Tensor) -> Tensor:
        excess = ops.zeros_like(present)
        for square_sum, stack in zip(
            self.square_sums, jacobian.stacks, strict=True
        ):
            column = (-1,) + (1,) * (len(stack.shape) - 1)
            squares = ops.square(ops.cast(stack, present.dtype))
            squares = ops.where(
                ops.reshape(present, column) > 0,
                squares,
                ops.zeros_like(squares),
            )
            total = ops.convert_to_tensor(square_sum) + squares
            square_sum.assign(total)
            excess = excess + ops.sum(
                squares / ops.sqrt(total + EPSILON),
                axis=tuple(range(1, len(stack.shape))),
            )
        return excess

    def _update_weights(self, excess: Tensor, present: Tensor) -> Tensor:
        """Returns the logarithms of the weights after the step."""
        ones = ops.ones_like(excess)
        steps = ops.convert_to_tensor(self.steps)
        old_baselines = ops.convert_to_tensor(self.baselines)
        moves = excess > SMALLEST_SQUARE
        # At 0 it is the first step itself that is the baseline.
        length = max(self.num_warmup_steps, 1)
        warming = steps < length
        baselines = ops.where(
            ops.logical_and(moves, warming),
            old_baselines + excess / length,
            old_baselines,
        )
        in_use = ops.where(warming, ones, old_baselines + self.epsilon)
        beginning = ones if self.num_warmup_steps else excess
        quotients = ops.where(warming, beginning, excess / in_use)
        exponents = quotients * self.robust_step_size
        old = ops.convert_to_tensor(self.logits)
        logits = multiplied_weights(old, exponents, present)
        self.steps.assign(ops.where(moves, steps + 1.0, steps))
        self.baselines.assign(baselines)
        self.logits.assign(logits)
        return logits

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "robust_step_size": self.robust_step_size,
            "num_warmup_steps": self.num_warmup_steps,
            "scale": self.scale,
            "epsilon": self.epsilon,
        }
