"""The sum of the task gradients."""

from keras_mtl.aggregators.linear import LinearAggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.Sum")
class Sum(LinearAggregator):
    """Sum of the task gradients.

    The gradient of the sum of the losses, as plain Keras training with
    several outputs has it:

    `d = g_1 + ... + g_K`

    Example:

    ```python
    total = keras_mtl.aggregators.Sum()
    total([[1.0, 0.0], [0.0, 3.0]])  # [1.0, 3.0]
    ```
    """

    def compute_row_weights(
        self, num_tasks: int, mask: Tensor | None = None, dtype: str = "float32"
    ) -> Tensor:
        return presence(num_tasks, mask, dtype)
