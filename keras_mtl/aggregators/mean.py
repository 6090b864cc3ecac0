"""The mean of the task gradients."""

from keras import ops

from keras_mtl.aggregators.linear import LinearAggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.Mean")
class Mean(LinearAggregator):
    """Mean of the task gradients.

    The baseline: the gradient of the mean of the losses,

    `d = (g_1 + ... + g_K) / K`

    where K counts the tasks that are present.

    Example:

    ```python
    mean = keras_mtl.aggregators.Mean()
    mean([[1.0, 0.0], [0.0, 3.0]])  # [0.5, 1.5]
    ```
    """

    def compute_row_weights(
        self, num_tasks: int, mask: Tensor | None = None, dtype: str = "float32"
    ) -> Tensor:
        present = presence(num_tasks, mask, dtype)
        return present / ops.maximum(ops.sum(present), 1.0)
