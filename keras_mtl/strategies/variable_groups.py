"""Which shared variables are merged together: the granularity."""

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.revive import revive_function


def checked_granularity(value: Any) -> Any:
    """Returns `granularity`, or raises `ValueError` for anything else."""
    if isinstance(value, dict):
        value = revive_function("granularity", value)
    if value in ("model", "layer") or callable(value):
        return value
    raise ValueError(
        'Argument `granularity` must be "model", "layer" or a function from a '
        f"variable to the key of its group. Received: granularity={value}"
    )


def group_variables(
    granularity: str | Callable[[keras.Variable], Any],
    variables: Sequence[keras.Variable],
) -> list[list[int]] | None:
    """Returns indices of the shared variables that are merged together.

    Args:
        granularity: As for `keras_mtl.Strategy`.
        variables: The shared variables.

    Returns:
        Lists of indices in the order of their first variables, or `None` for
        all together.
    """
    if granularity == "model":
        return None
    groups: dict[Any, list[int]] = {}
    for index, variable in enumerate(variables):
        key = variable.path.rpartition("/")[0]
        if not isinstance(granularity, str):
            key = granularity(variable)
            if not isinstance(key, Hashable):
                raise ValueError(
                    "The function `granularity` must return what can be the "
                    "key of a dict, such as a string or a tuple. For the "
                    f"variable {variable.path!r} it returned: {key!r}"
                )
        groups.setdefault(key, []).append(index)
    return list(groups.values())
