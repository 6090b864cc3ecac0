"""Aggregators whose weights do not depend on the gradients."""

from keras import ops

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.LinearAggregator")
class LinearAggregator(GramianAggregator):
    """Base class of aggregators with weights known before the gradients.

    The update is a linear function of the task gradients, `d = J^T w` with
    fixed `w`. No Gramian is computed, and a training step needs one backward
    pass, through the sum of the losses with these weights.

    Subclasses implement `compute_row_weights(num_tasks, mask, dtype)`.
    """

    linear = True

    def compute_row_weights(
        self, num_tasks: int, mask: Tensor | None = None, dtype: str = "float32"
    ) -> Tensor:
        """Returns one weight per task.

        Args:
            num_tasks: Number of tasks K.
            mask: Optional tensor `[K]`, 1 for present tasks, 0 for absent.
                Defaults to `None`, all present.
            dtype: Dtype of the weights. Defaults to `"float32"`.

        Returns:
            Tensor `[K]`. The weight of an absent task is 0.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not implement `compute_row_weights`."
        )

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        return self.compute_row_weights(gramian.shape[0], mask, gramian.dtype)

    def weigh(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        return self.check_weights(
            self.compute_row_weights(jacobian.num_tasks, mask, jacobian.dtype),
            jacobian.num_tasks,
        )


def presence(num_tasks: int, mask: Tensor | None, dtype: str) -> Tensor:
    """Returns 1 for present and 0 for absent tasks, `[K]`."""
    if mask is None:
        return ops.ones((num_tasks,), dtype=dtype)
    # A mask of bools cannot be compared with a number on TensorFlow.
    return ops.cast(ops.cast(mask, dtype) > 0, dtype)
