"""Fast adaptive multi-task optimisation."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.arguments import as_list
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_number
from keras_mtl.arguments import checked_vector
from keras_mtl.balancers.balancer import Balancer
from keras_mtl.balancers.masked import at_least
from keras_mtl.balancers.masked import masked_softmax
from keras_mtl.balancers.masked import presence
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import wide_dtype
from keras_mtl.solvers.adam import adam_state
from keras_mtl.solvers.adam import adam_update
from keras_mtl.typing import Tensor

EPSILON = 1e-8


@keras_mtl_export("keras_mtl.balancers.FAMO")
class FAMO(Balancer):
    """Learns weights with which all log-losses fall at the same rate.

    Close in aim to the methods that look at all task gradients, at the cost
    of two forward passes and one backward pass: after each update the losses
    of the same batch are computed again, and tasks that improved least gain
    weight. With many tasks it is among the cheapest that balance progress.

    `w_k = c z_k / D_k`, `D_k = loss_k - m_k + 1e-8`, `z = softmax(x)`, with
    `c` such that the weights add up to 1

    After the update, `x` takes a step of Adam against the gradient of
    `sum_k z_k (log D_k - log D'_k)` by `x`, where `D'` is of the new losses.

    Args:
        gamma: Weight decay of the logits `x`, at least 0: pulls the `z_k`
            together. Defaults to `0.001`.
        learning_rate: Step size for the logits, at least 0. Defaults to
            `0.025`.
        min_losses: One number `m_k` per task, the smallest losses possible.
            The weight of a loss below is NaN, and `fit` says so. Defaults to
            `None`, zeros.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.

    Raises:
        ValueError: If an argument is out of range, or `min_losses` does not
            have one entry per task.

    State:
        The logits, the two moments of Adam and the steps of each task. They
        move in `observe`, which the training step calls; a call reads them.

    Example:

    ```python
    famo = keras_mtl.balancers.FAMO()
    famo([0.5, 2.0])  # about [0.8, 0.2]
    famo.observe([0.5, 2.0], [0.4, 2.0])  # the first task improved
    famo([0.5, 2.0])  # about [0.7919, 0.2081]
    ```

    References:
        Liu et al., FAMO: Fast Adaptive Multitask Optimization, NeurIPS 2023,
        [arXiv:2306.03792](https://arxiv.org/abs/2306.03792). The weight decay
        is that of the paper and of LibMTL; the authors' code has 1e-5. The
        paper's cheaper variant takes the next batch in place of a second look
        at this one; this does not.
    """

    observes = True

    def __init__(
        self,
        gamma: float = 0.001,
        learning_rate: float = 0.025,
        min_losses: Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.gamma = checked_number("gamma", gamma)
        self.learning_rate = checked_number("learning_rate", learning_rate)
        self.min_losses = checked_vector("min_losses", min_losses)

    def build_state(self, num_tasks: int, dtype: str) -> None:
        check_size("min_losses", self.min_losses, num_tasks)
        self.state = adam_state(self, "logits", (num_tasks,), dtype)

    @property
    def logits(self) -> keras.Variable:
        """Logarithms of the tasks' shares, up to a constant."""
        return self.state[0]

    def lowest_losses(self, dtype: str) -> float:
        if self.min_losses is None:
            return 0.0
        return ops.convert_to_tensor(self.min_losses, dtype=dtype)

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        present = presence(losses, mask)
        # c z / D without the division by what may be tiny.
        logits = ops.cast(ops.convert_to_tensor(self.logits), losses.dtype)
        return masked_softmax(logits - self._log(losses), present)

    def _log(self, losses: Tensor) -> Tensor:
        """Logarithm of the distances to the smallest losses possible."""
        if self.min_losses is not None:
            losses = losses - ops.convert_to_tensor(
                self.min_losses, dtype=losses.dtype
            )
        return ops.log(at_least(losses, 0.0) + EPSILON)

    def observe(
        self, losses: Tensor, new_losses: Tensor, mask: Tensor | None = None
    ) -> None:
        losses = ops.convert_to_tensor(losses)
        self.check_tasks(int(losses.shape[0]))
        if not self.built:
            self.build(int(losses.shape[0]), wide_dtype(losses.dtype))
        logits = ops.convert_to_tensor(self.logits)
        losses = ops.cast(losses, logits.dtype)
        new_losses = ops.cast(ops.convert_to_tensor(new_losses), logits.dtype)
        if mask is not None:
            mask = ops.convert_to_tensor(mask)
        present = presence(logits, mask)
        gains = self._log(losses) - self._log(new_losses)
        gains = ops.where(present > 0, gains, 0.0)
        shares = masked_softmax(logits, present)
        gradient = shares * (gains - ops.sum(shares * gains))
        adam_update(
            self.state,
            gradient,
            self.learning_rate,
            weight_decay=self.gamma,
            mask=None if mask is None else present,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "gamma": self.gamma,
            "learning_rate": self.learning_rate,
            "min_losses": as_list(self.min_losses),
        }
