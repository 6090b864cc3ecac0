"""Multi-objective gradient correction."""

from typing import Any

from keras import ops

from keras_mtl import backend
from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.aggregators.task_weights import at_least_one
from keras_mtl.aggregators.task_weights import keep_absent
from keras_mtl.aggregators.task_weights import power
from keras_mtl.aggregators.task_weights import required_losses
from keras_mtl.aggregators.task_weights import undefined_below
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.simplex import masked_softmax
from keras_mtl.solvers.simplex import present_part
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

#: Added to the norms that gradients are divided by.
EPSILON = 1e-8


@keras_mtl_export("keras_mtl.aggregators.MoCo")
class MoCo(Aggregator):
    """Min-norm direction of tracked gradients, one small step at a time.

    The min-norm point of noisy gradients is biased. MoCo smooths each task
    gradient over steps, and moves the weights slowly towards the min-norm
    point of the smoothed ones. For small batches; it needs memory for one
    average per task.

    In the `t`-th step, with the rows `g_k` of the Jacobian:

    `y_k = y_k - beta_t (y_k - loss_k g_k / (||g_k|| + 1e-8))` with
    `beta_t = beta / t^beta_sigma`

    `w = softmax(w - gamma_t (Y Y^T + rho I) w)` with
    `gamma_t = gamma / t^gamma_sigma`

    `d = sum_k w_k y_k`

    The averages start from zero, the weights from `1 / K`. A task that is
    absent keeps its average, its weight and its step number.

    Args:
        beta: Step size of the averages, in (0, 1]. Defaults to `0.5`.
        beta_sigma: Exponent by which it decays, at least 0. Defaults to
            `0.5`.
        gamma: Step size of the weights, at least 0. Defaults to `0.1`.
        gamma_sigma: Exponent by which it decays, at least 0. Defaults to
            `0.5`.
        rho: Regularization that pulls the weights together, at least 0.
            Defaults to `0.0`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If an argument is outside its range, or, when called, if
            there are no losses.

    State:
        One average `[K, *shape]` per variable, one weight and one step number
        per task.

    Example:

    ```python
    moco = keras_mtl.aggregators.MoCo()
    moco([[2.0, 0.0], [0.0, 3.0]], losses=[1.0, 1.0])  # [0.25, 0.25]
    ```

    References:
        Fernando et al., Mitigating Gradient Bias in Multi-objective Learning:
        A Provably Convergent Approach, ICLR 2023, algorithm 1. The paper
        tracks the gradients as they are and projects the weights onto
        the simplex. The authors' code, which LibMTL has and this follows,
        scales every gradient to the length of its loss before, and has a
        softmax in place of the projection, which pulls the weights back to
        about equal ones in every step.
    """

    needs_losses = True
    keeps_rows = True

    def __init__(
        self,
        beta: float = 0.5,
        beta_sigma: float = 0.5,
        gamma: float = 0.1,
        gamma_sigma: float = 0.5,
        rho: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.beta = checked_number("beta", beta, "(0, 1]")
        self.beta_sigma = checked_number("beta_sigma", beta_sigma)
        self.gamma = checked_number("gamma", gamma)
        self.gamma_sigma = checked_number("gamma_sigma", gamma_sigma)
        self.rho = checked_number("rho", rho)
        self.averages: list[Any] = []
        self.steps: Any = None
        self.task_weights: Any = None

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        size = shapes[0][:1]
        self.steps = self.add_state("steps", size, dtype)
        # Of any sum: used relative to each other.
        self.task_weights = self.add_state("task_weights", size, dtype, value=1)
        self.averages = [
            self.add_state(f"average_{index}", shape, dtype)
            for index, shape in enumerate(shapes)
        ]

    def aggregate(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        losses = required_losses("MoCo", losses, jacobian.dtype)
        if not jacobian.num_variables:
            return []
        own_dtypes = [stack.dtype for stack in jacobian.stacks]
        dtype = self.steps.dtype
        present = presence(jacobian.num_tasks, mask, dtype)
        steps = self.steps + present
        # The steps of a task that never was there are 0.
        counts = at_least_one(steps)
        averages = self._update_averages(
            jacobian,
            ops.cast(losses, dtype),
            present,
            present * self.beta / power(counts, self.beta_sigma),
        )
        step_sizes = self.gamma / power(counts, self.gamma_sigma)
        previous = ops.convert_to_tensor(self.task_weights)
        weights = run(
            self._step_weights,
            averages.gramian(),
            previous,
            step_sizes,
            present,
        )
        self.steps.assign(steps)
        self.task_weights.assign(keep_absent(present, weights, previous))
        return [
            ops.cast(update, own_dtype)
            for update, own_dtype in zip(
                averages.combine(
                    undefined_below(0.0, weights, ops.cast(losses, dtype), mask)
                ),
                own_dtypes,
                strict=True,
            )
        ]

    def _step_weights(
        self,
        xp: Namespace,
        gramian: Tensor,
        weights: Tensor,
        step_sizes: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        weights = present_part(xp, weights, mask)
        gradient = xp.matmul(gramian, weights) + self.rho * weights
        return masked_softmax(xp, weights - step_sizes * gradient, mask)

    def _update_averages(
        self,
        jacobian: Jacobian,
        losses: Tensor,
        present: Tensor,
        gains: Tensor,
    ) -> Jacobian:
        norms = ops.sqrt(
            ops.where(
                present > 0,
                ops.cast(jacobian.squared_norms(), losses.dtype),
                ops.zeros_like(losses),
            )
        )
        scales = ops.where(
            present > 0, losses / (norms + EPSILON), ops.zeros_like(losses)
        )
        averages = []
        for average, stack in zip(self.averages, jacobian.stacks, strict=True):
            column = (-1,) + (1,) * (len(stack.shape) - 1)
            # A gain of 0 leaves the average of an absent task bit for bit.
            value = backend.lerp(
                ops.convert_to_tensor(average),
                ops.cast(stack, losses.dtype) * ops.reshape(scales, column),
                ops.reshape(gains, column),
            )
            average.assign(value)
            averages.append(value)
        return Jacobian(stacks=averages)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta": self.beta,
            "beta_sigma": self.beta_sigma,
            "gamma": self.gamma,
            "gamma_sigma": self.gamma_sigma,
            "rho": self.rho,
        }
