"""Arguments that have an entry for each output."""

import warnings
from collections.abc import Sequence
from typing import Any

from keras_mtl.registry import unknown_name


def by_name(
    argument: str, value: Any, names: Sequence[str], default: Any = None
) -> dict[str, Any]:
    """Returns a dict by name for a dict, a list by position, or one for all.

    Args:
        argument: Name of the argument, for error messages.
        value: A dict, list, tuple, or a single value that serves all.
        names: The allowed names in order.
        default: Value of names that a dict leaves out.
    """
    if isinstance(value, dict):
        for name in value:
            if name not in names:
                raise unknown_name(f"name in `{argument}`", str(name), names)
        return {name: value.get(name, default) for name in names}
    if isinstance(value, (list, tuple)):
        if len(value) != len(names):
            raise ValueError(
                f"Argument `{argument}` must have one entry per output "
                f"({', '.join(names)}). Received {len(value)} entries."
            )
        return dict(zip(names, value, strict=True))
    return dict.fromkeys(names, value)


def check_order(
    argument: str, value: Any, names: Sequence[str], are_known: bool = True
) -> None:
    """Warns of a list for a dict of outputs that Keras takes in another order.

    Args:
        argument: Name of the argument, for the message.
        value: What was given.
        names: The keys of the outputs, in the order that holds here.
        are_known: Whether this is the order of the outputs themselves.

    Raises:
        ValueError: If it is not: metrics are in the order that Keras takes.
    """
    if not isinstance(value, (list, tuple)) or sorted(names) == list(names):
        return
    advice = (
        f"Give a dict: `{argument}={{"
        + ", ".join(f"{name!r}: ..." for name in names)
        + "}`."
    )
    if not are_known:
        raise ValueError(
            f"Argument `{argument}` is a {type(value).__name__}, and the order "
            f"of the model's outputs ({', '.join(names)}) is not known. "
            f"{advice}"
        )
    warnings.warn(
        f"Argument `{argument}` is a {type(value).__name__}, and the outputs "
        "are a dict. It is taken in the order of the outputs: "
        f"{', '.join(names)}. keras.Model would take it in the order of the "
        f"sorted names: {', '.join(sorted(names))}. {advice}",
        stacklevel=3,
    )
