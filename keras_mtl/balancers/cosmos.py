"""Linear scalarisation with a cosine penalty."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.arguments import as_list
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_number
from keras_mtl.arguments import checked_preference
from keras_mtl.balancers.balancer import Balancer
from keras_mtl.balancers.masked import count_present
from keras_mtl.balancers.masked import presence
from keras_mtl.balancers.masked import unit_vector
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.balancers.COSMOS")
class COSMOS(Balancer):
    """Weighted sum of the losses that also pulls them towards a direction.

    Minus a multiple of the cosine between losses and preference: solutions
    come to lie where the losses have the ratios of `weights`, so that
    different `weights` give different trade-offs. Choose it to reach a given
    trade-off. Losses need comparable scales.

    `S = <r, loss> - lamda <r, loss> / (||r|| ||loss||)`

    `w = r - lamda / ||loss|| (r / ||r|| - cos loss / ||loss||)`

    over the tasks that are present. A large `lamda` makes weights negative:
    to get closer to the direction, the loss of a task that is ahead may rise.

    Args:
        weights: One non-negative number `r_k` per task, not all 0. Defaults
            to `None`, 1/K each.
        lamda: Weight of the cosine, at least 0. The paper takes 0.01 to 8.
            Defaults to `1.0`.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.

    Raises:
        ValueError: If an argument is out of range, or `weights` does not have
            one entry per task.

    Example:

    ```python
    cosmos = keras_mtl.balancers.COSMOS(weights=[1.0, 0.0], lamda=5.0)
    cosmos([3.0, 4.0])  # about [0.36, 0.48]
    ```

    References:
        Ruchte and Grabocka, Scalable Pareto Front Approximation for Deep
        Multi-Objective Learning, ICDM 2021,
        [arXiv:2103.13392](https://arxiv.org/abs/2103.13392). The paper also
        draws a new preference in each step and feeds it to the model; this is
        its objective alone.
    """

    def __init__(
        self,
        weights: Sequence[float] | None = None,
        lamda: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.task_weights = checked_preference("weights", weights)
        self.lamda = checked_number("lamda", lamda)

    def build_state(self, num_tasks: int, dtype: str) -> None:
        check_size("weights", self.task_weights, num_tasks)

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        present = presence(losses, mask)
        if self.task_weights is None:
            preference = present / count_present(present)
        else:
            preference = present * ops.convert_to_tensor(
                self.task_weights, dtype=losses.dtype
            )
        aim, _ = unit_vector(preference)
        direction, length = unit_vector(ops.where(present > 0, losses, 0.0))
        # Without a direction there is nothing to turn.
        factor = ops.where(
            length > 0, self.lamda / ops.where(length > 0, length, 1.0), 0.0
        )
        cosine = ops.sum(aim * direction)
        return preference - factor * (aim - cosine * direction)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "weights": as_list(self.task_weights),
            "lamda": self.lamda,
        }
