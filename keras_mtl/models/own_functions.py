"""Losses and metrics of the user's own, which may deal with NaN themselves."""

import functools
import re
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.typing import Tensor


def is_own(function: Any) -> bool:
    """Whether a loss or metric is not one of Keras's, whose rules are known.

    Args:
        function: A function, a `keras.losses.Loss` or a class.
    """
    return not (unwrapped(function).__module__ or "").startswith("keras.")


def unwrapped(function: Any) -> Any:
    """Returns the function of which `functools.partial` fixes arguments."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def name_of(function: Any) -> str:
    """Returns what Keras calls a loss or metric.

    Args:
        function: A function, an object with or without a `name`.
    """
    if hasattr(function, "name"):
        return function.name
    name = getattr(function, "__name__", type(function).__name__)
    # TensorFlow takes no other characters: not those of "<lambda>".
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def answers(
    function: Callable[[Any, Any], Any],
    label: Any,
    filled: Any,
    output: Any,
    weight: Any,
) -> tuple[Any, Any]:
    """Returns the labels and weights for a function of the user's own.

    It may have a mask for NaN, or use it as a mark in labels of several parts.
    So where it gives a number for labels of which a part is NaN, that number
    counts. Where it gives NaN, as for what knows nothing of missing labels,
    the label is missing, all of it if the function takes parts together.
    A function of one value for the whole batch has to deal with NaN, for
    nothing can be left out: its answer counts whatever it is.

    No other function sees NaN where there is nothing to answer, in labels of
    which every part is missing: it may take them for numbers of classes.

    Args:
        function: Maps `(y_true, y_pred)` to values `[batch, ...]` or to one.
        label: Labels, with NaN.
        filled: The labels with 0 for NaN.
        output: The model's output.
        weight: Tensor `[batch, ...]`, 0 where a label is missing.

    Returns:
        `(labels, weights)` to call the function with.
    """
    values = ops.convert_to_tensor(function(filled, output))
    rank = min(len(values.shape), len(weight.shape))
    if not shapes_agree(values.shape[:rank], label.shape[:rank]):
        rank = 0
    has_some = ops.logical_not(_all_behind(ops.isnan(label), rank))
    if rank == 0:
        return (
            ops.where(has_some, label, filled),
            ops.cast(has_some, weight.dtype),
        )
    if all(size == 1 for size in label.shape[rank:]):
        # There are no parts.
        return filled, ops.cast(has_some, weight.dtype)

    def labels_where(flags: Tensor) -> Tensor:
        for _ in range(rank, len(label.shape)):
            flags = ops.expand_dims(flags, axis=-1)
        return ops.where(flags, label, filled)

    values = function(labels_where(has_some), output)
    is_number = _all_behind(ops.logical_not(ops.isnan(values)), rank)
    is_answered = ops.logical_and(has_some, is_number)
    # What has all its labels counts, even if it is NaN.
    counts = ops.logical_or(is_answered, _all_behind(weight > 0, rank))
    return labels_where(is_answered), ops.cast(counts, weight.dtype)


def shapes_agree(left: Sequence[Any], right: Sequence[Any]) -> bool:
    """Whether two shapes may be the same, sizes that are `None` being any."""
    return len(left) == len(right) and all(
        a is None or b is None or a == b
        for a, b in zip(left, right, strict=True)
    )


def _all_behind(flags: Tensor, rank: int) -> Tensor:
    """Whether all flags are True, over the dimensions behind the first ones."""
    behind = tuple(range(rank, len(flags.shape)))
    return ops.all(flags, axis=behind) if behind else flags
