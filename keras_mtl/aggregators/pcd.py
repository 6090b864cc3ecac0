"""Priority-constrained descent: one task first, progress for the others."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.arguments import checked_number
from keras_mtl.arguments import checked_vector
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.nonnegative import solve_nonnegative
from keras_mtl.solvers.symmetric import present_tasks
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.PCD")
class PCD(GramianAggregator):
    """Gradient of the first task, turned until it serves the others too.

    For one task that matters and others that must not be forgotten: the
    update is as near to the gradient of the *first* task as it can be while
    every other task makes a little progress. Mind the order of the tasks.

    With the rows `h_k = g_k / sqrt(m_k + eps)`, where `m_k` is a moving average
    of `||g_k||^2`: `v` minimises `||v - h_1||^2` subject to

    `<h_k, v> >= tau ||h_k||^2` for all other tasks `k`,

    and the update is `d = ||g_1|| v / ||v||`.

    The problem is solved exactly, through its dual. Three cases are settled
    by definition: if the gradient of the first task is zero, so is the update;
    if no vector satisfies all constraints (two of the other tasks opposed),
    there are none and the update is `g_1`; if `v` is zero up to rounding
    errors, so is the update. Zero rows put no constraint. The first task is
    the first one that is present.

    Args:
        tau: Progress that the other tasks make at least, as a fraction of
            that along their own gradient, in [0, 1]. One number for all of
            them, or one per task; that of the first task may be left out.
            Defaults to `0.02`.
        beta: Forgetting factor of the moving averages, in [0, 1). They are
            corrected for their start from zero. Defaults to `0.999`.
        eps: Added to the averages, at least 0. Defaults to `1e-8`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `tau`, `beta` or `eps` is out of its range, or, when
            called, if there are as many numbers in `tau` as neither tasks nor
            other tasks.

    State:
        One average `[K]` and one step number `[K]` per task; those of absent
        tasks do not change.

    Example:

    ```python
    pcd = keras_mtl.aggregators.PCD(tau=0.0)
    pcd([[3.0, 4.0], [-1.0, 0.0]])  # [0.0, 5.0]
    ```

    References:
        Not All Objectives Are Born Equal: Priority-Constrained Descent for
        Hierarchical Multi-Objective Optimization, TMLR 2026,
        [arXiv:2606.29521](https://arxiv.org/abs/2606.29521). Known here
        through TorchJD's implementation, whose conventions for the special
        cases these are. The authors' code tries all sets of constraints,
        which takes a time exponential in K.
    """

    def __init__(
        self,
        tau: float | Sequence[float] = 0.02,
        beta: float = 0.999,
        eps: float = 1e-8,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.tau = checked_fractions(tau)
        self.beta = checked_number("beta", beta, "[0, 1)")
        self.eps = checked_number("eps", eps)
        self.averages: Any = None
        self.steps: Any = None

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        size = shapes[0][:1]
        self.averages = self.add_state("averages", size, dtype)
        self.steps = self.add_state("steps", size, dtype)

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        gramian, mask = self.prepare(gramian, mask)
        averages = ops.cast(self._update_averages(gramian, mask), gramian.dtype)
        roots = ops.sqrt(averages + self.eps)
        scales = 1.0 / ops.where(roots > 0, roots, 1.0)

        taus = ops.convert_to_tensor(
            self._taus(int(gramian.shape[0])), dtype=gramian.dtype
        )
        return run(_constrained, gramian, scales, mask, taus)

    def _taus(self, num_tasks: int) -> Sequence[float]:
        """One number per task."""
        if isinstance(self.tau, float):
            return (self.tau,) * num_tasks
        if len(self.tau) == num_tasks - 1:
            return (0.0, *self.tau)
        if len(self.tau) != num_tasks:
            raise ValueError(
                "Argument `tau` must be one number, or have one entry per "
                "task, or one for each but the first. Received: "
                f"{len(self.tau)} entries for {num_tasks} tasks."
            )
        return self.tau

    def _update_averages(self, gramian: Tensor, mask: Tensor | None) -> Tensor:
        old = ops.convert_to_tensor(self.averages)
        old_steps = ops.convert_to_tensor(self.steps)
        steps = old_steps + 1
        gain = 1.0
        if self.beta > 0:
            # With this gain the average of any number of steps is the
            # corrected one, and small squares do not get lost on the way.
            gain = (self.beta - 1.0) / ops.expm1(steps * math.log(self.beta))
        squares = ops.cast(ops.diagonal(gramian), old.dtype)
        averages = old + gain * (squares - old)
        if mask is not None:
            averages = ops.where(mask > 0, averages, old)
            steps = ops.where(mask > 0, steps, old_steps)
        self.averages.assign(averages)
        self.steps.assign(steps)
        return averages

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tau": self.tau if isinstance(self.tau, float) else list(self.tau),
            "beta": self.beta,
            "eps": self.eps,
        }


def checked_fractions(tau: Any) -> float | tuple[float, ...]:
    """Returns one number in [0, 1] or several, or raises `ValueError`."""
    if isinstance(tau, bool) or np.ndim(tau) == 0:
        return checked_number("tau", tau, "[0, 1]", "one per task")
    numbers = checked_vector("tau", tau, optional=False) or ()
    for number in numbers:
        checked_number("tau", number, "[0, 1]")
    return numbers


def _constrained(
    xp: Namespace,
    gramian: Tensor,
    scales: Tensor,
    mask: Tensor | None,
    taus: Tensor,
) -> Tensor:
    num_tasks = gramian.shape[0]
    dtype = gramian.dtype
    norms, cosines, active = unit_gramian(xp, gramian, mask)
    zeros = xp.zeros_like(norms)
    present = xp.cast(present_tasks(xp, gramian, mask), dtype)
    first = xp.one_hot(xp.argmax(present), num_tasks, dtype=dtype)
    # Variables are the multipliers times the norms of their rows.
    sizes = xp.where(active, norms * scales, zeros)
    size = xp.sum(first * sizes)
    along = xp.matmul(cosines, first)
    constrained = xp.logical_and(active, first <= 0)
    target = xp.where(constrained, taus * sizes - along * size, zeros)
    pairs = xp.logical_and(constrained[:, None], constrained[None, :])
    matrix = xp.where(pairs, cosines, xp.eye(num_tasks, dtype=dtype))
    multipliers = solve_nonnegative(xp, matrix, target)
    missing = target - xp.matmul(matrix, multipliers)
    tolerance = 1e-8 if xp.epsilon < 1e-10 else 2e-5
    possible = xp.max(missing) <= tolerance * xp.max(sizes)
    multipliers = xp.where(possible, multipliers, zeros)
    coefficients = first * size + multipliers
    square = xp.dot(coefficients, xp.matmul(cosines, coefficients))
    magnitude = xp.square(xp.sum(coefficients))
    vanishing = square <= 10 * xp.epsilon * magnitude
    length = xp.sqrt(xp.where(vanishing, xp.ones_like(square), square))
    # One ratio after the other: a product of two may overflow.
    norm = xp.sum(xp.where(active, first * norms, zeros))
    weights = (coefficients / length) * (norm / norms)
    gone = xp.logical_or(vanishing, xp.logical_not(active))
    return xp.where(gone, 0.0 * norms, weights)
