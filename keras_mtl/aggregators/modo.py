"""Multi-objective gradient with double sampling."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.arguments import checked_choice
from keras_mtl.aggregators.arguments import checked_number
from keras_mtl.aggregators.arguments import keep_absent
from keras_mtl.aggregators.jacobian import Jacobian
from keras_mtl.aggregators.jacobian import wide_dtype
from keras_mtl.aggregators.linear import presence
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.simplex import present_part
from keras_mtl.solvers.simplex import project_onto_simplex


@keras_mtl_export("keras_mtl.aggregators.MoDo")
class MoDo(Aggregator):
    """Min-norm weights learned from independent samples.

    The min-norm point of noisy gradients is biased, because the noise enters
    its Gramian squared. With gradients `J_1`, `J_2` of independent samples,
    `J_1 J_2^T` is an unbiased estimate, and the weights take one small step
    on it. For small batches, without memory for averages.

    In every step:

    `w = project(w - gamma (J_1 J_2^T w + rho w))`, onto `w >= 0`,
    `w_1 + ... + w_K = 1`

    `d = J_3^T w`

    The weights start from `1 / K`. A task that is absent keeps its weight.
    A training step cuts its batch into `samples` parts of equal size; called
    by hand with one Jacobian, that one takes all roles, and the estimate is
    as biased as that of other methods.

    Args:
        gamma: Step size of the weights, positive. It multiplies squared
            gradients: large gradients need a smaller one. Defaults to `0.1`.
        rho: Regularization that pulls the weights together, at least 0.
            Defaults to `0.1`.
        samples: Independent parts of a batch: 3; 2, in which case `J_3` is
            the mean of the others; or 1 for the same Jacobian in all roles.
            Defaults to `3`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If an argument is outside its range.

    State:
        One weight per task.

    Example:

    ```python
    modo = keras_mtl.aggregators.MoDo(rho=0.0)
    modo([[1.0, 0.0], [0.0, 2.0]])  # [0.575, 0.85]
    ```

    References:
        Chen et al., Three-Way Trade-Off in Multi-Objective Learning:
        Optimization, Generalization and Conflict-Avoidance, NeurIPS 2023,
        algorithm 1, [arXiv:2305.20057](https://arxiv.org/abs/2305.20057).
        Published code has three samples (LibMTL, with `gamma=0.001`) or two;
        TorchJD's default step size is the one here.
    """

    def __init__(
        self, gamma: float = 0.1, rho: float = 0.1, samples: int = 3, **kwargs
    ):
        super().__init__(**kwargs)
        self.gamma = checked_number("gamma", gamma, open_low=True)
        self.rho = checked_number("rho", rho)
        self.samples = checked_choice("samples", samples, (1, 2, 3))
        self.task_weights: Any = None

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        if shapes:
            # Of any sum: used relative to each other.
            self.task_weights = self.add_weight(
                name="task_weights",
                shape=(shapes[0][0],),
                dtype=wide_dtype(dtype),
                initializer="ones",
                trainable=False,
            )

    def aggregate(
        self, jacobian: Jacobian, losses: Any = None, mask: Any = None
    ) -> list[Any]:
        if not jacobian.num_variables:
            return []
        return jacobian.combine(self._update_weights(jacobian.gramian(), mask))

    def aggregate_samples(
        self,
        jacobians: Sequence[Jacobian],
        losses: Any = None,
        mask: Any = None,
    ) -> list[Any]:
        check_samples(self, jacobians)
        if self.samples == 1:
            return self.aggregate(jacobians[0], losses, mask)
        if not jacobians[0].num_variables:
            return []
        product = jacobians[0].cross_gramian(jacobians[1])
        weights = self._update_weights(product, mask)
        if self.samples == 3:
            return jacobians[2].combine(weights)
        halves = [jacobian.combine(weights / 2.0) for jacobian in jacobians]
        return [a + b for a, b in zip(*halves, strict=True)]

    def _update_weights(self, product, mask):
        def step(xp, product, weights, mask):
            weights = present_part(xp, weights, mask)
            gradient = xp.matmul(product, weights) + self.rho * weights
            return project_onto_simplex(
                xp, weights - self.gamma * gradient, mask
            )

        previous = ops.convert_to_tensor(self.task_weights)
        present = presence(previous.shape[0], mask, previous.dtype)
        weights = run(step, product, previous, present)
        self.task_weights.assign(
            keep_absent(present, ops.cast(weights, previous.dtype), previous)
        )
        return weights

    def state_reset(self) -> None:
        if self.task_weights is not None:
            self.task_weights.assign(ops.ones_like(self.task_weights.value))

    def get_config(self):
        return {
            **super().get_config(),
            "gamma": self.gamma,
            "rho": self.rho,
            "samples": self.samples,
        }


def check_samples(
    aggregator: Aggregator, jacobians: Sequence[Jacobian]
) -> None:
    """Raises `ValueError` unless there is one Jacobian per sample."""
    if len(jacobians) != aggregator.samples:
        raise ValueError(
            f"{type(aggregator).__name__} with samples={aggregator.samples} "
            f"needs as many Jacobians. Received: {len(jacobians)} of them."
        )
