"""Fixed task weights."""

from collections.abc import Sequence

import numpy as np
from keras import ops

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
        values = np.asarray(weights, dtype="float64")
        if (
            values.ndim != 1
            or not np.all(np.isfinite(values))
            or np.any(values < 0)
            or not np.any(values > 0)
        ):
            raise ValueError(
                "Argument `weights` must hold one non-negative finite number "
                "per task, not all of them 0. Received: "
                f"weights={weights}."
            )
        # No list: Keras would wrap it, and `torch.compile` not take it.
        self.task_weights = tuple(float(value) for value in values)

    def build_state(self, num_tasks, dtype):
        if num_tasks != len(self.task_weights):
            raise ValueError(
                "Argument `weights` must have one entry per task. Received: "
                f"{len(self.task_weights)} weights for {num_tasks} tasks."
            )

    def compute_weights(self, losses, mask=None):
        return ops.convert_to_tensor(self.task_weights, dtype=losses.dtype)

    def get_config(self):
        return {**super().get_config(), "weights": list(self.task_weights)}
