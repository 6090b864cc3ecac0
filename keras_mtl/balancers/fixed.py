"""Fixed task weights."""

from collections.abc import Sequence

from keras import ops

from keras_mtl.arguments import as_list
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_preference
from keras_mtl.balancers.balancer import Balancer
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.balancers.Fixed")
class Fixed(Balancer):
    """Weighs the tasks by given numbers: `S = sum_k weights_k loss_k`.

    Unlike `loss_weights` of `compile`, these weights are part of the strategy
    and leave the reported `loss` as it is.

    Args:
        weights: One non-negative number per task, in the order of
            `model.tasks`.
        name: Optional name.
        **kwargs: Passed on to `keras.layers.Layer`.

    Raises:
        ValueError: If a weight is negative or not finite, if all are 0, or if
            their number is not the number of tasks.

    Example:

    ```python
    keras_mtl.balancers.Fixed([1.0, 0.25])([0.5, 2.0])  # [1.0, 0.25]
    ```
    """

    elementwise = True

    def __init__(self, weights: Sequence[float], **kwargs):
        super().__init__(**kwargs)
        self.task_weights = checked_preference(
            "weights", weights, optional=False
        )

    def build_state(self, num_tasks, dtype):
        check_size("weights", self.task_weights, num_tasks)

    def compute_weights(self, losses, mask=None):
        return ops.convert_to_tensor(self.task_weights, dtype=losses.dtype)

    def get_config(self):
        return {**super().get_config(), "weights": as_list(self.task_weights)}
