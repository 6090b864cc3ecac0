"""Sample weights in the shape of what they weigh."""

from typing import Any

import keras
from keras import ops


def weights_like(values: Any, sample_weight: Any, is_valid: Any = None) -> Any:
    """Returns the weight of each of some values.

    Args:
        values: Tensor of any shape, of the dtype of the result.
        sample_weight: `None`, or a tensor of that shape, of its first
            dimensions, or with dimensions of 1.
        is_valid: Optional bool tensor of that shape: weights are 0 elsewhere.

    Returns:
        Tensor of the shape of `values`.
    """
    weights = ops.ones_like(values)
    if sample_weight is not None:
        given = ops.cast(ops.convert_to_tensor(sample_weight), values.dtype)
        rank = len(values.shape)
        while len(given.shape) > rank and given.shape[-1] == 1:
            given = ops.squeeze(given, axis=-1)
        while len(given.shape) < rank:
            given = ops.expand_dims(given, axis=-1)
        weights = weights * given
    if is_valid is not None:
        weights = ops.where(is_valid, weights, ops.zeros_like(weights))
    return weights


def weighted(values: Any, weights: Any) -> Any:
    """Returns the product, 0 where the weight is 0 even for NaN."""
    product = values * weights
    return ops.where(ops.equal(weights, 0), ops.zeros_like(product), product)


def drop_last(tensor: Any, rank: int) -> Any:
    """Drops a last dimension of 1 that exceeds a rank."""
    if len(tensor.shape) == rank + 1 and tensor.shape[-1] == 1:
        return ops.squeeze(tensor, axis=-1)
    return tensor


def as_tensor(value: Any, dtype: str) -> Any:
    """Returns a tensor of a dtype."""
    return ops.cast(
        ops.convert_to_tensor(value), keras.backend.standardize_dtype(dtype)
    )
