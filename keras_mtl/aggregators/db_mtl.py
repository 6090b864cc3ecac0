"""Dual-balancing multi-task learning, the gradient part."""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl import backend
from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.task_weights import power
from keras_mtl.arguments import as_list
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_number
from keras_mtl.arguments import checked_preference
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.solvers.adam import adam_state
from keras_mtl.solvers.adam import adam_update
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.simplex import graph_softmax
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

EPSILON = 1e-8

#: How the logits of a learned gate are trained: as those of FAMO.
LEARNING_RATE = 0.025
WEIGHT_DECAY = 1e-3

#: Losses are taken for at most this.
LARGEST_LOSS = 1e30


@keras_mtl_export("keras_mtl.aggregators.DBMTL")
class DBMTL(Aggregator):
    """Sum of smoothed task gradients, all scaled to the largest norm.

    Balances the sizes of the gradients: each row of a moving average gets the
    norm of the largest. Together with the logarithm of the losses
    (`keras_mtl.balancers.Log`), which balances their scales, it is DB-MTL;
    the preset `"db_mtl"` has both.

    In the `t`-th step of task `k`:

    `b_k = beta_t b_k + (1 - beta_t) g_k` with `beta_t = beta / t^sigma`

    `d = max_j ||b_j|| sum_k b_k / (||b_k|| + 1e-8)`

    The averages start from zero without a correction for it; the factor is
    the same for all tasks and does not change the balance. A task that is
    absent keeps its average and its step number, and does not contribute.

    Two extensions of this library's own are off by default:

    - `alignment` turns rescaled gradients that point away from their sum
      `a` towards it. A row `r` whose cosine `c` with `a` is below the
      threshold `tau` becomes

      `r' = r + ||r|| (tau sqrt(1 - c^2) - c sqrt(1 - tau^2)) / (||a||
      sqrt(1 - tau^2)) a`,

      whose cosine with `a` is `tau`, at the norm of `r`. All rows are
      compared with the same `a`; the update is the sum of what they became.
      (Without the norm of `r` kept, it would be a multiple of `a`.) A row
      opposed to `a` has no direction to turn in, and becomes `tau ||r|| a /
      ||a||`.
    - `gate` multiplies the rescaled gradients by task importances of mean 1.
      Learned ones are `K softmax(s)`; after every step, `s` takes a step of
      Adam against the gradient of `sum_k softmax(s)_k c_k`, where `c_k` is
      the decrease of the logarithm of the loss that the update has brought:
      tasks that got better by less become more important.

    Args:
        beta: Forgetting factor of the moving average, in [0, 1). With 0 there
            is no average and no memory for it. Defaults to `0.9`.
        sigma: Exponent by which the forgetting factor decays, at least 0.
            Defaults to `0.5`. (0 keeps it constant. That is the default of
            one published library, and the worst of the values in the paper's
            own comparison.)
        alignment: Smallest cosine that a rescaled gradient may have with the
            sum of them, in (-1, 1), or `None` to leave them as they are.
            Defaults to `None`.
        gate: Importances of the tasks: `None` for equal ones, `"softmax"` for
            learned ones, or one non-negative number per task, of which not
            all may be 0, for fixed ones. Only their ratios matter: the mean
            over the tasks that are present is 1. Learned ones cost one more
            forward pass per step. Defaults to `None`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If an argument is outside its range, or, when called, if
            `gate` has another length than there are tasks.

    State:
        One average `[K, *shape]` per variable and one step number per task;
        for a learned gate one logit, two moments and one step number of Adam
        per task.

    Example:

    ```python
    db_mtl = keras_mtl.aggregators.DBMTL(beta=0.0)
    db_mtl([[1.0, 0.0], [0.0, 3.0]])  # [3.0, 3.0]
    ```

    References:
        Lin et al., Dual-Balancing for Multi-Task Learning,
        [arXiv:2308.12029](https://arxiv.org/abs/2308.12029), section 3.2 and
        algorithm 1. It has neither `alignment` nor `gate`. The formula of
        the alignment, without the norm kept, is that of GradVac: Wang et al.,
        Gradient Vaccine, ICLR 2021,
        [arXiv:2010.05874](https://arxiv.org/abs/2010.05874), equation 4; the
        rule that trains the gate is that of FAMO: Liu et al., NeurIPS 2023,
        [arXiv:2306.03792](https://arxiv.org/abs/2306.03792), algorithm 1.
    """

    def __init__(
        self,
        beta: float = 0.9,
        sigma: float = 0.5,
        alignment: float | None = None,
        gate: str | Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.beta = checked_number("beta", beta, "[0, 1)")
        self.sigma = checked_number("sigma", sigma)
        self.alignment = alignment
        if alignment is not None:
            self.alignment = checked_number("alignment", alignment, "(-1, 1)")
        self.gate: Any = gate
        if gate != "softmax":
            self.gate = checked_preference("gate", gate, or_else="'softmax'")
        self.keeps_rows = self.beta > 0
        self.observes = self.gate == "softmax"
        self.averages: list[Any] = []
        self.steps: Any = None
        self.gate_state: tuple[Any, ...] = ()

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        size = shapes[0][:1]
        if self.beta > 0:
            self.steps = self.add_state("steps", size, dtype)
            self.averages = [
                self.add_state(f"average_{index}", shape, dtype)
                for index, shape in enumerate(shapes)
            ]
        if self.gate == "softmax":
            self.gate_state = adam_state(self, "gate_logits", size, dtype)

    def aggregate(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        if not jacobian.num_variables:
            return []
        dtype = jacobian.dtype
        own_dtypes = [stack.dtype for stack in jacobian.stacks]
        if mask is None:
            present = ops.ones((jacobian.num_tasks,), dtype=dtype)
        else:
            present = ops.cast(mask > 0, dtype)
        if self.beta == 0:
            averages = jacobian
        else:
            averages = self._update_averages(jacobian, present)
        # Before the norms are asked for: they are on its diagonal.
        gramian = None if self.alignment is None else averages.gramian()
        norms = ops.sqrt(ops.where(present > 0, averages.squared_norms(), 0.0))
        weights = present * (ops.amax(norms) / (norms + EPSILON))
        if self.gate is not None:
            weights = weights * ops.cast(
                self._importances(present), weights.dtype
            )
        if gramian is not None:
            weights = run(self._align, gramian, weights, present)
        return [
            ops.cast(update, own_dtype)
            for update, own_dtype in zip(
                averages.combine(weights), own_dtypes, strict=True
            )
        ]

    def _importances(self, present: Tensor) -> Tensor:
        """Returns the gate `[K]`, of mean 1 over present tasks."""
        if self.gate == "softmax":
            logits = ops.convert_to_tensor(self.gate_state[0])
            present = ops.cast(present, logits.dtype)
            return graph_softmax(logits, present) * ops.sum(present)
        num_tasks = int(present.shape[0])
        check_size("gate", self.gate, num_tasks)
        gate = present * ops.convert_to_tensor(self.gate, dtype=present.dtype)
        total = ops.sum(gate)
        return gate * ops.sum(present) / ops.where(total > 0, total, 1.0)

    def _align(
        self,
        xp: Namespace,
        gramian: Tensor,
        weights: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """Returns the weights of the rows after the alignment.

        Args:
            xp: Namespace of array functions.
            gramian: Tensor `[K, K]` of the rows.
            weights: Tensor `[K]` of weights that rescale them.
            mask: Tensor `[K]`, 1 for present tasks, 0 for absent.
        """
        tau: Any = self.alignment
        norms, cosines, active = unit_gramian(xp, gramian, mask)
        zeros, ones = xp.zeros_like(norms), xp.ones_like(norms)
        # Norms of the rescaled rows, in units of the longest.
        sizes = xp.where(active, weights * norms, zeros)
        longest = xp.max(sizes)
        sizes = sizes / xp.where(longest > 0, longest, 1.0 + longest)
        projections = xp.matmul(cosines, sizes)
        square = xp.sum(sizes * projections)
        vanishing = square <= 8 * xp.epsilon * xp.square(xp.sum(sizes))
        length = xp.sqrt(xp.where(vanishing, 1.0 + zeros[0], square))
        cosine = xp.clip(projections / length, -1.0, 1.0)
        turns = xp.logical_and(
            xp.logical_and(active, sizes > 0),
            xp.logical_and(cosine < tau, xp.logical_not(vanishing)),
        )
        # Each row is split into its parts along the sum and across it.
        across = 1.0 - xp.square(cosine)
        known = across > 64 * xp.epsilon
        stretch = xp.where(
            known,
            math.sqrt(1.0 - tau**2) / xp.sqrt(xp.where(known, across, ones)),
            zeros,
        )
        stretch = xp.where(turns, stretch, ones)
        along = xp.where(turns, sizes * (tau - stretch * cosine), zeros)
        return weights * (stretch + xp.sum(along) / length)

    def observe(
        self, losses: Tensor, new_losses: Tensor, mask: Tensor | None = None
    ) -> None:
        if self.gate != "softmax":
            return
        logits = ops.convert_to_tensor(self.gate_state[0])
        before, after = (
            ops.log(
                ops.clip(ops.cast(values, logits.dtype), 0.0, LARGEST_LOSS)
                + EPSILON
            )
            for values in (losses, new_losses)
        )
        present = ops.ones_like(logits)
        if mask is not None:
            present = ops.cast(mask > 0, logits.dtype)
        decrease = ops.where(present > 0, before - after, 0.0)
        shares = graph_softmax(logits, present)
        gradient = shares * (decrease - ops.sum(shares * decrease))
        adam_update(
            self.gate_state,
            gradient,
            learning_rate=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            mask=present,
        )

    def _update_averages(self, jacobian: Jacobian, present: Tensor) -> Jacobian:
        dtype = self.steps.dtype
        present = ops.cast(present, dtype)
        steps = self.steps + present
        beta = self.beta / power(ops.where(steps < 1, 1.0, steps), self.sigma)
        gain = (1.0 - beta) * present
        averages = []
        stacks, reuse = jacobian.take_stacks()
        for average, stack in zip(self.averages, stacks, strict=True):
            column = ops.reshape(gain, (-1,) + (1,) * (len(stack.shape) - 1))
            # A gain of 0 leaves the average of an absent task bit for bit.
            value = backend.lerp(
                ops.convert_to_tensor(average),
                ops.cast(stack, dtype),
                column,
                reuse=reuse,
            )
            average.assign(value)
            averages.append(value)
        self.steps.assign(steps)
        return Jacobian(stacks=averages)

    def get_config(self) -> dict[str, Any]:
        gate = self.gate if self.gate == "softmax" else as_list(self.gate)
        return {
            **super().get_config(),
            "beta": self.beta,
            "sigma": self.sigma,
            "alignment": self.alignment,
            "gate": gate,
        }
