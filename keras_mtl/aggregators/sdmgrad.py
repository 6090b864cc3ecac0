"""Direction-oriented multi-objective gradient descent."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.arguments import at_least_one
from keras_mtl.aggregators.arguments import checked_choice
from keras_mtl.aggregators.arguments import checked_integer
from keras_mtl.aggregators.arguments import checked_number
from keras_mtl.aggregators.arguments import keep_absent
from keras_mtl.aggregators.jacobian import Jacobian
from keras_mtl.aggregators.jacobian import wide_dtype
from keras_mtl.aggregators.linear import presence
from keras_mtl.aggregators.modo import check_samples
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.simplex import present_part
from keras_mtl.solvers.simplex import project_onto_simplex

#: Added to the square that the products are divided by.
EPSILON = 1e-8

#: Products are kept below this, so that all steps stay finite in float32.
LARGEST_PRODUCT = 1e25


@keras_mtl_export("keras_mtl.aggregators.SDMGrad")
class SDMGrad(Aggregator):
    """Min-norm weights near the mean gradient, from independent samples.

    Between the mean of the gradients (large `lamda`) and the min-norm point
    (`lamda` of 0), estimated without bias from gradients `J_1`, `J_2` of
    independent samples. For small batches.

    With `A = J_1 J_2^T / s^2`, `s = mean_k sqrt(max((J_1 J_2^T)_kk, 0))`, and
    the equal weights `u_k = 1 / K`, every step runs `num_iterations` times

    `v = momentum v + A (w + lamda u)`,
    `w = project(w - learning_rate v)`, onto `w >= 0`, `w_1 + ... + w_K = 1`

    from the weights of the step before and `v = 0`, and then

    `d = J_3^T (w + lamda u) / (1 + lamda)`

    The weights start from `1 / K`. A task that is absent keeps its weight.
    A training step cuts its batch into `samples` parts of equal size; called
    by hand with one Jacobian, that one takes all roles, and the estimate is
    as biased as that of other methods.

    Args:
        lamda: Weight of the mean gradient, at least 0. Defaults to `0.3`.
        learning_rate: Step size of the weights, positive. Defaults to `10.0`.
        momentum: In [0, 1). Defaults to `0.5`.
        num_iterations: Iterations per step, at least 1. Defaults to `20`.
        samples: Independent parts of a batch: 3, or 1 for the same Jacobian
            in all roles. Defaults to `3`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If an argument is outside its range.

    State:
        One weight per task.

    Example:

    ```python
    sdmgrad = keras_mtl.aggregators.SDMGrad()
    sdmgrad([[1.0, 0.0], [1.0, 0.0]])  # [1.0, 0.0]
    ```

    References:
        Xiao et al., Direction-oriented Multi-objective Learning: Simple and
        Provable Stochastic Algorithms, NeurIPS 2023, algorithm 1,
        [arXiv:2305.18409](https://arxiv.org/abs/2305.18409). The division by
        `s^2 + 1e-8`, the momentum and the number of iterations are those of
        the authors' code. TorchJD has the same defaults, LibMTL a learning
        rate of 5. With these step sizes the weights need not settle; they go
        through the iterations as published.
    """

    def __init__(
        self,
        lamda: float = 0.3,
        learning_rate: float = 10.0,
        momentum: float = 0.5,
        num_iterations: int = 20,
        samples: int = 3,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.lamda = checked_number("lamda", lamda)
        self.learning_rate = checked_number(
            "learning_rate", learning_rate, open_low=True
        )
        self.momentum = checked_number("momentum", momentum, high=1)
        self.num_iterations = checked_integer(
            "num_iterations", num_iterations, 1
        )
        self.samples = checked_choice("samples", samples, (1, 3))
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
        return jacobians[2].combine(self._update_weights(product, mask))

    def _update_weights(self, product, mask):
        previous = ops.convert_to_tensor(self.task_weights)
        present = presence(previous.shape[0], mask, previous.dtype)
        weights = run(self._iterate, product, previous, present)
        self.task_weights.assign(
            keep_absent(present, ops.cast(weights, previous.dtype), previous)
        )
        present = ops.cast(present, weights.dtype)
        equal = present / at_least_one(ops.sum(present))
        return (weights + self.lamda * equal) / (1.0 + self.lamda)

    def _iterate(self, xp, product, weights, mask):
        """Returns the weights after all iterations."""
        zeros = xp.zeros_like(weights)
        pairs = xp.logical_and(mask[:, None] > 0, mask[None, :] > 0)
        product = xp.where(pairs, product, xp.zeros_like(product))
        count = xp.maximum(xp.sum(mask), 1.0)
        scale = xp.sqrt(xp.maximum(xp.diagonal(product), 0.0))
        scale = xp.sum(scale) / count
        product = xp.clip(
            product / (xp.square(scale) + EPSILON),
            -LARGEST_PRODUCT,
            LARGEST_PRODUCT,
        )
        equal = present_part(xp, zeros, mask)

        def step(place, weights, velocity):
            gradient = xp.matmul(product, weights + self.lamda * equal)
            velocity = self.momentum * velocity + gradient
            weights = project_onto_simplex(
                xp, weights - self.learning_rate * velocity, mask
            )
            return place + 1, weights, velocity

        _, weights, _ = xp.while_loop(
            lambda place, weights, velocity: place < self.num_iterations,
            step,
            (
                xp.zeros((), dtype="int32"),
                present_part(xp, weights, mask),
                zeros,
            ),
        )
        return weights

    def state_reset(self) -> None:
        if self.task_weights is not None:
            self.task_weights.assign(ops.ones_like(self.task_weights.value))

    def get_config(self):
        return {
            **super().get_config(),
            "lamda": self.lamda,
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "num_iterations": self.num_iterations,
            "samples": self.samples,
        }
