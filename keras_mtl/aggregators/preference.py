"""Preferences among tasks, as constructor arguments of aggregators."""

import math
from collections.abc import Sequence
from typing import Any


def checked_preference(
    preference: Sequence[float] | None,
) -> tuple[float, ...] | None:
    """Returns a preference as a tuple, or raises `ValueError`.

    Args:
        preference: One number per task, finite and not negative, not all of
            them 0, or `None`.
    """
    if preference is None:
        return None
    try:
        values = tuple(float(value) for value in preference)
    except (TypeError, ValueError):
        values = ()
    if not any(values) or not all(
        math.isfinite(value) and value >= 0 for value in values
    ):
        raise ValueError(
            "Argument `preference` must be None or a sequence of finite "
            "numbers, one per task, at least 0 and not all 0. Received: "
            f"preference={preference}"
        )
    return values


def check_length(preference: Sequence[float] | None, num_tasks: int) -> None:
    """Raises `ValueError` unless there is one entry per task."""
    if preference is not None and len(preference) != num_tasks:
        raise ValueError(
            "Argument `preference` must have one entry per task. Received: "
            f"{len(preference)} entries for {num_tasks} tasks."
        )


def preference_shares(
    xp: Any, preference: tuple[float, ...] | None, present: Any
) -> Any:
    """Returns the preference over the present tasks, `[K]`.

    Args:
        xp: Namespace of array functions.
        preference: What `checked_preference` returned.
        present: Tensor `[K]`, 1 for present tasks, 0 for absent.

    Returns:
        Tensor `[K]`: without a preference, 1 divided by the number of present
        tasks; else the given numbers as they are, 0 for absent tasks.
    """
    if preference is None:
        return present / xp.maximum(xp.sum(present), 1.0)
    return xp.stack([present[k] * value for k, value in enumerate(preference)])
