"""Direction-oriented multi-objective gradient descent."""

from collections.abc import Sequence
from typing import Any

from keras_mtl.aggregators.double_sampling import DoubleSamplingAggregator
from keras_mtl.aggregators.preference import preference_shares
from keras_mtl.arguments import as_list
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.arguments import checked_preference
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.namespace import Graph
from keras_mtl.solvers.namespace import machine_epsilon
from keras_mtl.solvers.simplex import present_part
from keras_mtl.solvers.simplex import project_onto_simplex
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

#: Added to the square that the products are divided by.
EPSILON = 1e-8

#: Products are kept below this, so that all steps stay finite in float32.
LARGEST_PRODUCT = 1e25


@keras_mtl_export("keras_mtl.aggregators.SDMGrad")
class SDMGrad(DoubleSamplingAggregator):
    """Min-norm weights near the mean gradient, from independent samples.

    Between the mean of the gradients (large `lamda`) and the min-norm point
    (`lamda` of 0), estimated without bias from gradients `J_1`, `J_2` of
    independent samples. For small batches.

    With `A = J_1 J_2^T / s^2`, `s = mean_k sqrt(max((J_1 J_2^T)_kk, 0))`, and
    the preference `u`, by default `u_k = 1 / K`, every step runs
    `num_iterations` times

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
        preference: One non-negative number per task, the direction near which
            the update stays in place of the mean gradient. They are used as
            they are. Defaults to `None`, 1 / K for K tasks that are present.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If an argument is outside its range, or, when called, if
            `preference` is not as long as there are tasks.

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
        preference: Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(samples, (1, 3), **kwargs)
        self.preference = checked_preference("preference", preference)
        self._other_preference: tuple[float, ...] | None = None
        self.lamda = checked_number("lamda", lamda)
        self.learning_rate = checked_number(
            "learning_rate", learning_rate, "(0, inf)"
        )
        self.momentum = checked_number("momentum", momentum, "[0, 1)")
        self.num_iterations = checked_integer("num_iterations", num_iterations)

    def set_preference(self, preference: Sequence[float]) -> None:
        """Takes a preference from elsewhere, which is not part of the config.

        Args:
            preference: One number per task.
        """
        self._other_preference = checked_preference("preference", preference)

    def _shares(self, xp: Namespace, present: Tensor) -> Tensor:
        preference = self._other_preference or self.preference
        check_size("preference", preference, present.shape[0])
        return preference_shares(xp, preference, present)

    def step_weights(
        self,
        xp: Namespace,
        product: Tensor,
        weights: Tensor,
        mask: Tensor,
    ) -> Tensor:
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
        shares = self._shares(xp, mask)

        def step(
            place: Tensor, weights: Tensor, velocity: Tensor
        ) -> tuple[Tensor, ...]:
            gradient = xp.matmul(product, weights + self.lamda * shares)
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

    def row_weights(self, weights: Tensor, present: Tensor) -> Tensor:
        shares = self._shares(Graph(machine_epsilon(weights)), present)
        return (weights + self.lamda * shares) / (1.0 + self.lamda)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "lamda": self.lamda,
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "num_iterations": self.num_iterations,
            "preference": as_list(self.preference),
        }
