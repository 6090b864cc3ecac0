"""Checks of what balancers are constructed with."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def checked_number(
    argument: str,
    value: Any,
    low: float = 0.0,
    allow_low: bool = True,
) -> float:
    """Returns `value` as a float.

    Args:
        argument: Name of the argument, for the error message.
        value: What was given.
        low: Smallest allowed value. Defaults to `0.0`.
        allow_low: Whether `low` itself is allowed. Defaults to `True`.

    Raises:
        ValueError: If it is no finite number or out of range.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not low <= value < float("inf")
        or (value == low and not allow_low)
    ):
        if low == -float("inf"):
            allowed = "a finite number"
        else:
            allowed = f"a finite number, {'at least' if allow_low else 'above'}"
            allowed = f"{allowed} {low:g}"
        raise ValueError(
            f"Argument `{argument}` must be {allowed}. Received: "
            f"{argument}={value}"
        )
    return float(value)


def checked_count(argument: str, value: Any, low: int = 1) -> int:
    """Returns `value` as an integer, at least `low`, or raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(
            f"Argument `{argument}` must be an integer, at least {low}. "
            f"Received: {argument}={value}"
        )
    return value


def checked_choice(argument: str, value: Any, choices: Sequence[str]) -> str:
    """Returns `value` if it is one of `choices`, or raises ValueError."""
    if value not in choices:
        raise ValueError(
            f"Argument `{argument}` must be one of {tuple(choices)}. "
            f"Received: {argument}={value}"
        )
    return value


def checked_vector(argument: str, values: Any) -> tuple[float, ...] | None:
    """Returns one finite number per task, or `None` for `None`."""
    if values is None:
        return None
    try:
        array = np.asarray(values, dtype="float64")
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 1 or not array.size or not np.all(np.isfinite(array)):
        raise ValueError(
            f"Argument `{argument}` must hold one finite number per task. "
            f"Received: {argument}={values}"
        )
    # No list: Keras would wrap it, and `torch.compile` not take it.
    return tuple(float(value) for value in array)


def checked_preference(argument: str, values: Any) -> tuple[float, ...] | None:
    """Returns one non-negative number per task, or `None` for `None`."""
    vector = checked_vector(argument, values)
    if vector is not None and (min(vector) < 0 or max(vector) == 0):
        raise ValueError(
            f"Argument `{argument}` must hold one non-negative number per "
            f"task, not all of them 0. Received: {argument}={values}"
        )
    return vector


def check_size(
    argument: str, vector: tuple[float, ...] | None, num_tasks: int
) -> None:
    """Raises `ValueError` unless there is one number per task."""
    if vector is not None and len(vector) != num_tasks:
        raise ValueError(
            f"Argument `{argument}` must have one entry per task. Received: "
            f"{len(vector)} entries for {num_tasks} tasks."
        )


def as_list(vector: tuple[float, ...] | None) -> list[float] | None:
    """Returns a vector as it is written to a config."""
    return None if vector is None else list(vector)
