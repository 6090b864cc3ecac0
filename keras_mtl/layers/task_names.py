"""Checks of task names, and of what layers are given by task."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any


def checked_tasks(
    tasks: Sequence[str], reserved: Iterable[str] = ()
) -> tuple[str, ...]:
    """Returns the task names as a tuple, or raises `ValueError`.

    Args:
        tasks: What was given as argument `tasks`.
        reserved: Names that the layer needs for itself.
    """
    if isinstance(tasks, str) or not isinstance(tasks, Sequence):
        raise ValueError(
            "Argument `tasks` must be a list of task names. Received: "
            f"tasks={tasks!r}"
        )
    for task in tasks:
        # Layers and variables have them in their names.
        if not isinstance(task, str) or not task or "/" in task:
            raise ValueError(
                "Argument `tasks` must hold strings without '/', not empty. "
                f"Received: tasks={list(tasks)}"
            )
        if task in reserved:
            raise ValueError(
                f"A task must not be called {task!r}: the layer has this name "
                f"for what tasks share. Received: tasks={list(tasks)}"
            )
    if not tasks or len(set(tasks)) < len(tasks):
        raise ValueError(
            "Argument `tasks` must hold one or more names, each of them once. "
            f"Received: tasks={list(tasks)}"
        )
    return tuple(tasks)


def check_keys(what: str, given: Any, names: Sequence[str]) -> None:
    """Raises `ValueError` unless `given` is a dict with just these keys.

    Args:
        what: What it is, for the message.
        given: What was given.
        names: The keys it must have, in any order.
    """
    if not isinstance(given, Mapping):
        raise ValueError(
            f"{what} must be a dict with the keys {', '.join(names)}. "
            f"Received: {type(given).__name__}"
        )
    if set(given) != set(names):
        raise ValueError(
            f"{what} must have the keys {', '.join(names)}. Received: "
            f"{', '.join(map(str, given))}"
        )
