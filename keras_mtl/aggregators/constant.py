"""A weighted sum of the task gradients with fixed weights."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.aggregators.linear import LinearAggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_vector
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.Constant")
class Constant(LinearAggregator):
    """Sum of the task gradients with weights that are chosen by hand.

    `d = w_1 g_1 + ... + w_K g_K`

    The weights are used as they are: they need not sum to 1, and those of the
    other tasks do not change where a task is absent.

    Args:
        weights: One finite number per task, in the order of the rows.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `weights` is empty, not a sequence of finite numbers,
            or, when called, not as long as there are tasks.

    Example:

    ```python
    constant = keras_mtl.aggregators.Constant([2.0, 0.5])
    constant([[1.0, 0.0], [0.0, 3.0]])  # [2.0, 1.5]
    ```
    """

    def __init__(self, weights: Sequence[float], **kwargs: Any):
        super().__init__(**kwargs)
        # `weights` is what a layer calls its variables.
        self._row_weights: Any = checked_vector(
            "weights", weights, optional=False
        )

    def build_state(self, shapes: Sequence[Shape], dtype: str) -> None:
        check_size("weights", self._row_weights, shapes[0][0])

    def compute_row_weights(
        self, num_tasks: int, mask: Tensor | None = None, dtype: str = "float32"
    ) -> Tensor:
        check_size("weights", self._row_weights, num_tasks)
        weights = ops.convert_to_tensor(self._row_weights, dtype=dtype)
        return weights * presence(num_tasks, mask, dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weights": list(self._row_weights)}
