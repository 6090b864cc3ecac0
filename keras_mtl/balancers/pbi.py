"""Penalty-based boundary intersection."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.arguments import as_list
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_number
from keras_mtl.arguments import checked_preference
from keras_mtl.arguments import checked_vector
from keras_mtl.balancers.balancer import Balancer
from keras_mtl.balancers.masked import presence
from keras_mtl.balancers.masked import unit_vector
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.namespace import machine_epsilon
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.balancers.PBI")
class PBI(Balancer):
    """Length of the losses along a direction, and distance from it.

    The losses are led down along the ray of `weights` from the reference
    point, which is reached for a large `theta` whatever the shape of the
    trade-off. Choose it to meet a given ratio of the losses; they need
    comparable scales.

    `S = d_1 + theta d_2` with `f = loss - z`, `u = weights / ||weights||`,
    `d_1 = <f, u>`, `d_2 = ||f - d_1 u||`

    `w = u + theta (f - d_1 u) / d_2`

    over the tasks that are present. Weights are negative for tasks that are
    ahead of the direction: their losses may rise. On the ray itself, to
    rounding, where `d_2` has no derivative, `w = u`.

    Args:
        weights: One non-negative number per task, not all 0, the ratios of
            the losses to meet. Defaults to `None`, equal losses.
        theta: Weight of the distance, at least 0. Defaults to `5.0`.
        reference: One number `z_k` per task, the best possible losses.
            Defaults to `None`, zeros.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.

    Raises:
        ValueError: If an argument is out of range, or `weights` or
            `reference` do not have one entry per task.

    Example:

    ```python
    pbi = keras_mtl.balancers.PBI(weights=[1.0, 0.0], theta=2.0)
    pbi([3.0, 4.0])  # [1.0, 2.0]
    ```

    References:
        Zhang and Li, MOEA/D: A Multiobjective Evolutionary Algorithm Based on
        Decomposition, IEEE Transactions on Evolutionary Computation 11(6),
        2007, section II.C. The weights are `u`, of length 1, and not divided
        by their sum.
    """

    def __init__(
        self,
        weights: Sequence[float] | None = None,
        theta: float = 5.0,
        reference: Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.task_weights = checked_preference("weights", weights)
        self.theta = checked_number("theta", theta)
        self.reference = checked_vector("reference", reference)

    def build_state(self, num_tasks: int, dtype: str) -> None:
        check_size("weights", self.task_weights, num_tasks)
        check_size("reference", self.reference, num_tasks)

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        present = presence(losses, mask)
        preference = present
        if self.task_weights is not None:
            preference = present * ops.convert_to_tensor(
                self.task_weights, dtype=losses.dtype
            )
        ray, _ = unit_vector(preference)
        distances = losses
        if self.reference is not None:
            distances = losses - ops.convert_to_tensor(
                self.reference, dtype=losses.dtype
            )
        # Their length drops out of the derivative.
        point, _ = unit_vector(ops.where(present > 0, distances, 0.0))
        across = point - ops.sum(point * ray) * ray
        across = across - ops.sum(across * ray) * ray
        # Rounding errors of a point on the ray have no direction.
        noise = 10 * losses.shape[0] * machine_epsilon(losses)
        distance = ops.sqrt(ops.sum(across * across) + noise * noise)
        return ray + self.theta * across / distance

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "weights": as_list(self.task_weights),
            "theta": self.theta,
            "reference": as_list(self.reference),
        }
