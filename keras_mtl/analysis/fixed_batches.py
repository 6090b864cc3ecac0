"""Batches that are looked at again and again."""

import itertools
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl import backend
from keras_mtl.typing import Tensor

#: A batch, `(x, y, sample_weight)`.
Arrays = tuple[Any, Any, Any]


def read_batches(
    data: Any, num_batches: int | None, batch_size: int
) -> list[Arrays]:
    """Returns the first batches of some data, as NumPy arrays.

    Args:
        data: Tuple `(x, y)` or `(x, y, sample_weight)` of arrays or nests of
            them; a `keras.utils.PyDataset`; or an iterable of batches.
        num_batches: How many at most, or `None` for all.
        batch_size: How many samples are cut out of arrays at a time.

    Raises:
        ValueError: If there are none, or they are something else.
    """
    if isinstance(data, tuple):
        batches = _cut(_checked_batch(data), num_batches, batch_size)
    elif isinstance(data, keras.utils.PyDataset):
        count = len(range(data.num_batches)[:num_batches])
        batches = [_checked_batch(data[index]) for index in range(count)]
    elif hasattr(data, "__iter__") and not isinstance(data, (dict, str)):
        first = itertools.islice(data, num_batches)
        batches = [_checked_batch(batch) for batch in first]
    else:
        raise ValueError(
            "Argument `data` must be a tuple `(x, y)` or `(x, y, "
            "sample_weight)` of arrays, or batches of that kind, such as a "
            "tf.data.Dataset, a keras.utils.PyDataset or a list. Received: "
            f"data of type {type(data).__name__}"
        )
    if not batches:
        raise ValueError(
            "Argument `data` has no batches. An iterator that was used up "
            "begins no second time: pass what makes iterators, such as a list."
        )
    return batches


def _checked_batch(batch: Any) -> tuple[Any, ...]:
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        raise ValueError(
            "Argument `data` must hold batches `(x, y)` or `(x, y, "
            f"sample_weight)`. Received: one of type {type(batch).__name__}"
            + (f" and length {len(batch)}" if hasattr(batch, "__len__") else "")
        )
    x, y, sample_weight = (*batch, None)[:3]
    return tuple(
        keras.tree.map_structure(_as_array, part)
        for part in (x, y, sample_weight)
    )


def _as_array(leaf: Any) -> np.ndarray | None:
    if leaf is None:
        return None
    if ops.is_tensor(leaf):
        (leaf,) = backend.to_host([leaf])
    # A copy: a batch may be a buffer that is filled anew.
    array = np.array(leaf)
    if np.issubdtype(array.dtype, np.floating):
        # As `fit` does.
        array = array.astype(keras.config.floatx())
    return array


def _cut(arrays: Any, num_batches: int | None, batch_size: int) -> list[Any]:
    sizes = {
        len(array)
        for array in keras.tree.flatten(arrays)
        if array is not None and array.ndim
    }
    if len(sizes) != 1:
        raise ValueError(
            "Arrays in `data` must have the same number of samples. "
            f"Received: {sorted(sizes)}. For task inputs of different sizes "
            "pass batches, such as a keras_mtl.datasets.MultiTaskDataset."
        )
    starts = range(0, sizes.pop(), batch_size)[:num_batches]
    return [_at(slice(start, start + batch_size), arrays) for start in starts]


def _at(index: Any, arrays: Any) -> Any:
    """A nest of arrays with the same index taken of each."""
    return keras.tree.map_structure(
        lambda array: None if array is None else array[index], arrays
    )


def stack_batches(batches: list[Arrays]) -> list[Arrays]:
    """Returns the batches, those of the same shapes stacked into one.

    The mean over a stack is taken in a loop on the device: one batch at a
    time is in memory, and one is compiled, however many there are.
    """
    groups: dict[Any, list[Arrays]] = {}
    for batch in batches:
        key = tuple(
            None if array is None else (array.shape, str(array.dtype))
            for array in keras.tree.flatten(batch)
        )
        groups.setdefault(key, []).append(batch)
    return [
        keras.tree.map_structure(
            lambda *arrays: (
                None
                if arrays[0] is None
                else ops.convert_to_tensor(np.stack(arrays))
            ),
            *group,
        )
        for group in groups.values()
    ]


def sum_over(
    stacks: list[Arrays], function: Any, zeros: list[Any]
) -> list[Any]:
    """Returns the sum over the batches of all stacks.

    Args:
        stacks: Batches whose arrays have one axis more, the first.
        function: From a batch to a list of tensors.
        zeros: Tensors of their shapes and dtypes, to begin with.
    """
    total = zeros
    for stack in stacks:

        def add(
            index: Tensor, total: list[Tensor], stack: Any = stack
        ) -> list[Tensor]:
            parts = function(_at(index, stack))
            return [a + b for a, b in zip(total, parts, strict=True)]

        arrays = [a for a in keras.tree.flatten(stack) if a is not None]
        count = arrays[0].shape[0]
        # A loop around a single batch would only take time to compile.
        total = (
            add(0, total) if count == 1 else ops.fori_loop(0, count, add, total)
        )
    return total
