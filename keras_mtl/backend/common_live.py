"""Gradients by variables as they are, and a batch before its step."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops
from keras import tree

from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "autocast_dtypes",
    "evaluate_live",
    "live_gradients",
    "live_reach",
    "local_tensors",
    "peek",
]


def live_gradients(
    function: Callable[[], tuple[Tensor, list[Tensor]]],
    variables: Sequence[Variable],
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Returns a scalar and its gradients by variables as they are.

    As a training step of `keras.Model` takes them, without a scope that
    replaces their values.

    Args:
        function: Takes nothing and returns a scalar and a list of others.
        variables: List of Keras variables.

    Returns:
        `(scalar, others, gradients)`.
    """
    raise NotImplementedError


def live_reach(
    function: Callable[[], list[Tensor]],
    variables: Sequence[Variable],
    run_eagerly: bool,
) -> list[set[int]]:
    """Tells by which variables, as they are, each of some losses has gradients.

    Args:
        function: Takes nothing and returns a list of scalars.
        variables: List of Keras variables.
        run_eagerly: The model's setting.

    Returns:
        One set of indices into `variables` per loss.
    """
    raise NotImplementedError


def evaluate_live(
    function: Callable[[Any], list[Tensor]],
    variables: Sequence[Variable],
    data: Any,
    run_eagerly: bool,
) -> Any:
    """Returns what a function makes of data and variables, as NumPy arrays.

    Args:
        function: Maps `data` to a list of tensors. It may assign to the
            variables if it puts them back.
        variables: All variables that it may read.
        data: Nested structure of arrays.
        run_eagerly: The model's setting.
    """
    raise NotImplementedError


def peek(iterator: Any, count: int) -> tuple[Any, Any]:
    """Returns the next of an iterator, and an iterator that still has it.

    Args:
        iterator: What the trainer gives a step.
        count: How many batches a step takes from it at most.
    """
    raise NotImplementedError


def local_tensors(model: keras.Model, data: Any) -> Any:
    """Returns the tensors of a batch, as far as they are here."""
    return tree.map_structure(
        lambda a: None if a is None else ops.convert_to_tensor(a), data
    )


def autocast_dtypes() -> list[str]:
    """Dtypes that the framework itself replaces those of layers by."""
    return []
