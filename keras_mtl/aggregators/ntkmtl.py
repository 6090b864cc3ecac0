"""Task gradients scaled by the trace of their neural tangent kernel."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.arguments import MOST_PARTS
from keras_mtl.arguments import checked_integer
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.NTKMTL")
class NTKMTL(GramianAggregator):
    """Sum of the task gradients, scaled so that all tasks learn at one speed.

    The neural tangent kernel tells how fast a task learns; here the tasks are
    weighed by the inverse root of its largest eigenvalue. Cheap, without
    state and without a solver; it balances sizes and ignores conflicts.

    `d = sum_k w_k g_k` with `w_k = sqrt((l_1 + ... + l_K) / l_k)`

    With one sample, `n=1`, the kernel of a task is a number, `l_k =
    ||g_k||^2`: every task gradient gets the norm `sqrt(sum_j ||g_j||^2)`. With
    more, the batch is cut into `n` parts, and `l_k` is the largest eigenvalue
    of the n x n matrix of inner products of task `k`'s gradients of the parts;
    `g_k` is their mean.

    Zero rows get the weight 0.

    Args:
        n: Number of parts of the batch that kernels are made of, at least 1.
            Each costs one backward pass per task. Called by hand with one
            Jacobian, the method is that of `n=1`. Defaults to `1`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `n` is not an integer of at least 1.

    Example:

    ```python
    ntkmtl = keras_mtl.aggregators.NTKMTL()
    ntkmtl([[3.0, 0.0], [0.0, 4.0]])  # [5.0, 5.0]
    ```

    References:
        Qin et al., NTKMTL: Mitigating Task Imbalance in Multi-Task Learning
        from Neural Tangent Kernel Perspective, NeurIPS 2025,
        [arXiv:2510.18258](https://arxiv.org/abs/2510.18258). The exponent and
        `n=1` are those of the authors' experiments; their code multiplies the
        update by K and clips its norm to 1, which this does not.
    """

    def __init__(self, n: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = checked_integer("n", n, high=MOST_PARTS)
        # The training step looks here.
        self.samples = n

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        def solve(
            xp: Namespace, gramian: Tensor, mask: Tensor | None
        ) -> Tensor:
            norms, _, active = unit_gramian(xp, gramian, mask)
            return _equal_speed(xp, norms, active)

        return run(solve, gramian, mask)

    def aggregate_samples(
        self,
        jacobians: Sequence[Jacobian],
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        self.check_samples(jacobians)
        if not jacobians[0].num_variables:
            return []
        kernels = _kernels(jacobians)

        def solve(
            xp: Namespace, kernels: Tensor, mask: Tensor | None
        ) -> Tensor:
            num_tasks = kernels.shape[0]
            # Scaled by their traces: squared norms may be tiny or huge.
            traces = xp.sum(xp.diagonal(kernels, axis1=1, axis2=2), axis=1)
            diagonal = xp.eye(num_tasks, dtype=kernels.dtype) > 0
            gramian = xp.where(
                diagonal, traces[:, None], xp.zeros_like(traces)[:, None]
            )
            norms, _, active = unit_gramian(xp, gramian, mask)
            scaled = kernels / norms[:, None, None] / norms[:, None, None]
            finite = xp.isfinite(scaled)
            scaled = xp.where(finite, scaled, xp.zeros_like(scaled))
            values, _ = xp.eigh(scaled)
            # At least the mean eigenvalue, whatever the rounding errors.
            largest = xp.maximum(values[:, -1], 1.0 / self.n)
            return _equal_speed(xp, norms * xp.sqrt(largest), active)

        weights = run(solve, kernels, mask) / self.n
        parts = [jacobian.combine(weights) for jacobian in jacobians]
        return [sum(tensors) for tensors in zip(*parts, strict=True)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}


def _equal_speed(xp: Namespace, roots: Tensor, active: Tensor) -> Tensor:
    """Returns `sqrt(sum_j r_j^2) / r_k` for present rows, 0 for others."""
    zeros = xp.zeros_like(roots)
    largest = xp.max(xp.where(active, roots, zeros))
    largest = xp.where(xp.any(active), largest, xp.ones_like(largest))
    relative = xp.where(active, roots / largest, zeros)
    length = xp.sqrt(xp.sum(xp.square(relative)))
    return xp.where(active, length * (largest / roots), zeros)


def _kernels(jacobians: Sequence[Jacobian]) -> Tensor:
    """Returns each task's inner products between the parts, `[K, n, n]`."""
    num_parts = len(jacobians)
    products: dict[tuple[int, int], Any] = {}
    for i, left in enumerate(jacobians):
        products[i, i] = left.squared_norms()
        for j, right in enumerate(jacobians[:i]):
            products[i, j] = products[j, i] = left.row_products(right)
    return ops.stack(
        [
            ops.stack([products[i, j] for j in range(num_parts)], axis=-1)
            for i in range(num_parts)
        ],
        axis=-2,
    )
