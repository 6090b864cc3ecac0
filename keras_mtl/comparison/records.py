"""The form of a run's record, which may have been changed by anybody."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

Check = Callable[[Any], bool]

#: Version of the files' form; raised when older readers would misread it.
SCHEMA = 1

STATUSES = ("finished", "diverged")


def check_record(path: Path, record: Any) -> None:
    """Raises `ValueError`, which names the file, for what is no record.

    Args:
        path: The file.
        record: What it holds, as JSON gives it.
    """
    if not isinstance(record, dict):
        raise _error(path, f"it must hold an object, not {_kind(record)}")
    for name, (is_right, wanted) in FORM.items():
        if name not in record:
            raise _error(path, f"it has no {name!r}")
        if not is_right(record[name]):
            raise _error(path, f"{name!r} must be {wanted}")
    cosines, number = record["cosines"], len(record["tasks"])
    if (
        cosines is not None
        and [len(row) for row in cosines] != [number] * number
    ):
        raise _error(path, f"'cosines' must be {number} rows of {number}")


def check_trial(path: Path, record: dict[str, Any]) -> None:
    """Raises `ValueError`, which names the file, for what is no trial.

    Args:
        path: The file.
        record: What `check_record` has found to be a record.
    """
    for name, (is_right, wanted) in FORM_OF_TRIAL.items():
        if name not in record or not is_right(record[name]):
            raise _error(path, f"{name!r} must be {wanted}")


def _error(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path} is no record of a run: {reason}. Remove it, and the run is "
        "done again."
    )


def _kind(value: Any) -> str:
    return type(value).__name__


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        # Integers of any length are JSON, but no number that is measured.
        and abs(value) < 2**1023
        and math.isfinite(value)
    )


def _or_none(is_right: Check) -> Check:
    return lambda value: value is None or is_right(value)


def _list_of(is_right: Check, least: int = 0) -> Check:
    return lambda value: (
        isinstance(value, list)
        and len(value) >= least
        and all(is_right(item) for item in value)
    )


def _dict_of(is_right: Check) -> Check:
    return lambda value: (
        isinstance(value, dict) and all(is_right(it) for it in value.values())
    )


def _is_seconds(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _list_of(_is_number)(value.get("epochs"))
        and all(
            name in value and _or_none(_is_number)(value[name])
            for name in ("per_epoch", "per_step")
        )
    )


#: By name of the field: a check, and what it checks for.
FORM: dict[str, tuple[Check, str]] = {
    "schema": (_is_count, "a version"),
    "backend": (_is_text, "text"),
    "strategy": (_is_text, "text"),
    "seed": (_is_count, "an integer from 0 on"),
    "versions": (_dict_of(_or_none(_is_text)), "texts by name"),
    "status": (lambda value: value in STATUSES, f"one of {STATUSES}"),
    "message": (_or_none(_is_text), "text or null"),
    "tasks": (_list_of(_is_text, 1), "a list of one or more names"),
    "parameters": (_or_none(_is_count), "an integer or null"),
    "shapes": (_or_none(_is_text), "text or null"),
    "model": (_is_text, "text"),
    "num_train": (_or_none(_is_count), "an integer or null"),
    "num_test": (_or_none(_is_count), "an integer or null"),
    "data": (_is_text, "text"),
    "steps_per_epoch": (_or_none(_is_count), "an integer or null"),
    "history": (
        _list_of(_dict_of(_or_none(_is_number))),
        "a list of numbers by name",
    ),
    "cosines": (
        _or_none(_list_of(_list_of(_or_none(_is_number)))),
        "rows of numbers, or null",
    ),
    "seconds": (
        _is_seconds,
        "'epochs', a list of numbers, 'per_epoch' and 'per_step'",
    ),
}

#: What trials have beside.
FORM_OF_TRIAL: dict[str, tuple[Check, str]] = {
    "space": (_dict_of(_list_of(_is_number, 2)), "two numbers by name"),
    "drawn": (_dict_of(_is_number), "numbers by name"),
    "setting": (lambda value: isinstance(value, dict), "an object"),
    "value": (_or_none(_is_number), "a number or null"),
    "pruned": (lambda value: isinstance(value, bool), "true or false"),
}
