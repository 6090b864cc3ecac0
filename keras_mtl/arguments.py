"""Checks of what components are constructed with."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

#: What counts steps and batches is an int32 on the device.
MOST = 2**31 - 1

#: Of parts that a layer makes itself, such as experts. More would not fit
#: anywhere, and a file that wants them was tampered with.
MOST_PARTS = 4096

#: Of numbers that a metric counts by, such as classes.
MOST_COUNTERS = 2**20


def checked_number(
    argument: str,
    value: Any,
    interval: str = "[0, inf)",
    or_else: str = "",
) -> float:
    """Returns `value` as a float, or raises `ValueError`.

    Args:
        argument: Name of the argument, for the message.
        value: What was given.
        interval: Where it must lie, as one writes it: square brackets for
            ends that are allowed. Defaults to `"[0, inf)"`.
        or_else: What else the caller takes, for the message. Defaults to
            nothing.
    """
    low, high = (float(end) for end in interval[1:-1].split(","))
    is_inside = (
        isinstance(value, (int, float, np.number))
        and not isinstance(value, bool)
        # Larger integers have no float.
        and (not isinstance(value, int) or abs(value) < 2**1023)
        and (
            low < value < high
            or (value == low and interval[0] == "[")
            or (value == high and interval[-1] == "]")
        )
    )
    if not is_inside:
        allowed = f"a number in {interval}" + (or_else and f" or {or_else}")
        raise ValueError(
            f"Argument `{argument}` must be {allowed}. Received: "
            f"{argument}={_shown(value)}"
        )
    return float(value)


def checked_integer(
    argument: str, value: Any, low: int = 1, high: int = MOST
) -> int:
    """Returns `value` if it is an integer from `low` to `high`, or raises.

    Args:
        argument: Name of the argument, for the message.
        value: What was given.
        low: The smallest integer allowed. Defaults to 1.
        high: The largest. Defaults to `2**31 - 1`, the largest of an int32.
    """
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if is_integer and low <= value <= high:
        return value
    end = f"at least {low}"
    if is_integer and value > high:
        end = f"at most {high}"
    raise ValueError(
        f"Argument `{argument}` must be an integer, {end}. Received: "
        f"{argument}={_shown(value)}"
    )


def checked_choice(argument: str, value: Any, choices: Sequence[Any]) -> Any:
    """Returns `value` if it is one of `choices`, or raises `ValueError`."""
    if isinstance(value, bool) or value not in choices:
        raise ValueError(
            f"Argument `{argument}` must be one of {tuple(choices)}. "
            f"Received: {argument}={value}"
        )
    return value


def checked_vector(
    argument: str, values: Any, optional: bool = True, or_else: str = ""
) -> tuple[float, ...] | None:
    """Returns one finite number per task, or raises `ValueError`.

    Args:
        argument: Name of the argument, for the message.
        values: What was given.
        optional: Whether `None` is allowed, and returned. Defaults to `True`.
        or_else: What else the caller takes, for the message. Defaults to
            nothing.
    """
    if values is None and optional:
        return None
    parts = values if isinstance(values, (list, tuple)) else [values]
    if any(isinstance(part, keras.Variable) for part in parts):
        raise ValueError(
            f"Argument `{argument}` is read once: a `keras.Variable` in it "
            "would have no effect when it changes. Pass numbers, or use "
            "`keras_mtl.balancers.Fixed`, whose weights may be variables. "
            f"Received: {argument}={values}"
        )
    try:
        array = np.asarray(values, dtype="float64")
    except (OverflowError, TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 1 or not array.size or not np.all(np.isfinite(array)):
        raise ValueError(
            f"Argument `{argument}` must be one finite number per task"
            f"{or_else and f', or {or_else}'}. Received: {argument}={values}"
        )
    # No list: Keras would wrap it, and `torch.compile` not take it.
    return tuple(float(value) for value in array)


def checked_preference(
    argument: str, values: Any, optional: bool = True, or_else: str = ""
) -> tuple[float, ...] | None:
    """Returns one non-negative number per task, or raises `ValueError`.

    Args:
        argument: Name of the argument, for the message.
        values: What was given.
        optional: Whether `None` is allowed, and returned. Defaults to `True`.
        or_else: What else the caller takes, for the message. Defaults to
            nothing.
    """
    vector = checked_vector(argument, values, optional, or_else)
    if vector is not None and (min(vector) < 0 or max(vector) == 0):
        raise ValueError(
            f"Argument `{argument}` must be one non-negative number per "
            f"task, not all of them 0{or_else and f', or {or_else}'}. "
            f"Received: {argument}={values}"
        )
    return vector


def check_size(
    argument: str, vector: Sequence[float] | None, num_tasks: int
) -> None:
    """Raises `ValueError` unless there is one number per task."""
    if vector is not None and len(vector) != num_tasks:
        raise ValueError(
            f"Argument `{argument}` must have one entry per task. Received: "
            f"{len(vector)} entries for {num_tasks} tasks."
        )


def _shown(value: Any) -> str:
    """Returns a value for a message; what looks like a number, by its type."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # Python writes no integer of more than 4300 digits.
        if isinstance(value, int) and abs(value) >= 2**1023:
            return "an integer of that size"
        return f"{value}"
    return f"{value} of type {type(value).__name__}"


def as_list(vector: Sequence[float] | None) -> list[float] | None:
    """Returns a vector as it is written to a config."""
    return None if vector is None else list(vector)
