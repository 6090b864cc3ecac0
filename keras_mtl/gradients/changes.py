"""Assignments that are collected, and made later."""

import contextlib
from collections.abc import Iterator
from collections.abc import Sequence

import keras
from keras import ops

from keras_mtl.typing import Tensor


@contextlib.contextmanager
def changes_to(
    variables: Sequence[keras.Variable],
) -> Iterator[list[tuple[keras.Variable, Tensor]]]:
    """Collects assignments to variables instead of making them.

    Yields:
        A list that holds, after the context, pairs of a variable that was
        assigned to and its value.
    """
    mapping = [(v, ops.convert_to_tensor(v.value)) for v in variables]
    changes: list[tuple[keras.Variable, Tensor]] = []
    with keras.StatelessScope(mapping) as scope:
        before = [scope.get_current_value(v) for v in variables]
        yield changes
    for variable, old in zip(variables, before, strict=True):
        value = scope.get_current_value(variable)
        if value is not old:
            changes.append((variable, value))


def only_if(
    condition: Tensor,
    changes: Sequence[tuple[keras.Variable, Tensor]],
    exceptions: Sequence[keras.Variable],
) -> list[tuple[keras.Variable, Tensor]]:
    """Makes changes of variables depend on a condition, but for some."""
    excepted = {id(variable) for variable in exceptions}
    return [
        (variable, value)
        if id(variable) in excepted
        else (
            variable,
            ops.where(condition, value, ops.convert_to_tensor(variable.value)),
        )
        for variable, value in changes
    ]
