"""Mean of the middle values."""

from typing import Any

from keras import ops

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.aggregators.task_weights import at_least_one
from keras_mtl.arguments import checked_integer
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.TrimmedMean")
class TrimmedMean(Aggregator):
    """Mean of the task gradients without the extremes, entry by entry.

    For many tasks of which some may be off: up to `trim_number` gradients,
    however wrong, do not carry the update out of the range of the others.
    From federated learning; it does not look for conflicts.

    Each entry of `d` is the mean of that entry of the task gradients without
    the `trim_number` largest and the `trim_number` smallest.

    Where so many tasks are absent that fewer than `2 trim_number + 1` are
    left, the largest number is trimmed from both ends that leaves one value
    or two.

    Args:
        trim_number: How many values are trimmed at each end, at least 0. With
            0 it is the mean. Defaults to `1`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `trim_number` is not such an integer, or, when called,
            if there are fewer than `2 trim_number + 1` tasks.

    Example:

    ```python
    trimmed_mean = keras_mtl.aggregators.TrimmedMean()
    trimmed_mean([[1.0, 9.0], [2.0, 0.0], [7.0, 4.0]])  # [2.0, 4.0]
    ```

    References:
        Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal
        Statistical Rates, ICML 2018, definition 2,
        [arXiv:1803.01498](https://arxiv.org/abs/1803.01498).
    """

    def __init__(self, trim_number: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.trim_number = checked_integer("trim_number", trim_number, 0)
        self.min_tasks = 2 * self.trim_number + 1

    def aggregate(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        num_tasks, dtype = jacobian.num_tasks, jacobian.dtype
        if num_tasks < self.min_tasks:
            raise ValueError(
                f"TrimmedMean with trim_number={self.trim_number} needs at "
                f"least {self.min_tasks} tasks. Received: "
                f"{num_tasks} tasks."
            )
        present = presence(num_tasks, mask, dtype)
        count = ops.sum(present)
        trim = ops.clip(
            ops.floor((count - 1.0) / 2.0), 0.0, float(self.trim_number)
        )
        places = ops.cast(ops.arange(num_tasks), dtype)
        # Absent rows come last when sorted.
        kept = ops.logical_and(places >= trim, places < count - trim)
        divisor = at_least_one(count - 2.0 * trim)
        update = []
        for stack in jacobian.stacks:
            column = (-1,) + (1,) * (len(stack.shape) - 1)
            rows = ops.where(
                ops.reshape(present, column) > 0,
                ops.cast(stack, dtype),
                float("inf"),
            )
            middle = ops.where(
                ops.reshape(kept, column), ops.sort(rows, axis=0), 0.0
            )
            mean = ops.sum(middle, axis=0) / divisor
            update.append(ops.cast(mean, stack.dtype))
        return update

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "trim_number": self.trim_number}
