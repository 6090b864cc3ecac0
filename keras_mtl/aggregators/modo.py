"""Multi-objective gradient with double sampling."""

from typing import Any

from keras_mtl.aggregators.double_sampling import DoubleSamplingAggregator
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.simplex import present_part
from keras_mtl.solvers.simplex import project_onto_simplex
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.MoDo")
class MoDo(DoubleSamplingAggregator):
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
        self,
        gamma: float = 0.1,
        rho: float = 0.1,
        samples: int = 3,
        **kwargs: Any,
    ):
        super().__init__(samples, (1, 2, 3), **kwargs)
        self.gamma = checked_number("gamma", gamma, "(0, inf)")
        self.rho = checked_number("rho", rho)

    def step_weights(
        self,
        xp: Namespace,
        product: Tensor,
        weights: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        weights = present_part(xp, weights, mask)
        gradient = xp.matmul(product, weights) + self.rho * weights
        return project_onto_simplex(xp, weights - self.gamma * gradient, mask)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "gamma": self.gamma,
            "rho": self.rho,
        }
