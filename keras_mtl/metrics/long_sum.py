"""Sums that stay accurate over more terms than float32 can count."""

from typing import Any

import keras
from keras import ops

from keras_mtl.typing import Tensor


class LongSum:
    """A running sum kept in two parts: the rounded sum, and what it lost.

    In float32 alone, adding 1 to 2^24 changes nothing; a few minutes of
    training on images count as many pixels. Here each addition is exact up to
    the second part's rounding, by the algorithm of Knuth, which needs no
    branches.

    Args:
        metric: The metric whose variable holds the sum.
        shape: Shape of the sum. Defaults to `()`.
    """

    def __init__(self, metric: keras.metrics.Metric, shape: tuple = ()):
        self.variable = metric.add_variable(
            (2, *shape), initializer="zeros", name="sum_and_rest"
        )

    def add(self, values: Any) -> None:
        """Adds values of the shape of the sum."""
        total, rest = self._parts()
        values = ops.cast(values, total.dtype)
        new_total = total + values
        added = new_total - total
        lost = (total - (new_total - added)) + (values - added)
        self.variable.assign(ops.stack([new_total, rest + lost]))

    def value(self) -> Any:
        """Returns the sum."""
        total, rest = self._parts()
        return total + rest

    def _parts(self) -> tuple[Tensor, Tensor]:
        # First a tensor: on torch that of the device where Keras looks for
        # shapes.
        parts = ops.convert_to_tensor(self.variable)
        return parts[0], parts[1]


def sum_by_index(values: Any, indices: Any, size: int) -> Any:
    """Sums the values of each index, as `ops.segment_sum` does.

    That goes through float32 on torch, and not through `torch.compile` before
    torch 2.10.

    Args:
        values: Tensor `[N]`.
        indices: Tensor `[N]` of integers from 0 to `size - 1`.
        size: How many sums there are.

    Returns:
        Tensor `[size]` of the dtype of the values.
    """
    sums = ops.zeros((size,), dtype=values.dtype)
    return ops.scatter_update(sums, indices[:, None], values, reduction="add")


def sum_all(values: Any) -> Any:
    """Returns the sum over all axes, one axis after the other.

    So that no partial sum is much larger than what is added to it.
    """
    while len(values.shape) > 0:
        values = ops.sum(values, axis=-1)
    return values
