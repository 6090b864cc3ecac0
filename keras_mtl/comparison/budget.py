"""How much a strategy may be tuned: the same for each, in epochs or seconds."""

import re
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

FORM = re.compile(r"(\d+)\s*(s|seconds|epochs)?")


class Budget(NamedTuple):
    """What the trials of a strategy may take.

    The trial that reaches it is the last one.

    Attributes:
        amount: How many.
        in_seconds: Whether of seconds of training, which no two runs of a
            command agree on; else of epochs of one model.
    """

    amount: int
    in_seconds: bool

    def spent(self, trial: Mapping[str, Any]) -> float:
        """Returns what a trial has taken, more than nothing in any case.

        Args:
            trial: Its record.
        """
        if self.in_seconds:
            return max(sum(trial["seconds"]["epochs"]), 1e-3)
        return max(epochs_of(trial), 1)

    def trials_left(self, left: float, epochs: int) -> int:
        """Returns how many more trials there will be, at least or so.

        Args:
            left: What is left of it.
            epochs: Epochs of a trial.
        """
        if left <= 0.0:
            return 0
        return 1 if self.in_seconds else -int(-left // epochs)


def read_budget(text: str) -> Budget:
    """Returns the budget that a setting names, `300` or `600s`.

    Raises:
        ValueError: If it is none.
    """
    found = FORM.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise ValueError(
            "Argument `budget` must be a number of epochs, 300 for instance, "
            f"or of seconds, 600s. Received: budget={text}"
        )
    return Budget(int(found[1]), found[2] in ("s", "seconds"))


def epochs_of(trial: Mapping[str, Any]) -> int:
    """Returns the epochs that a trial has trained, all its models together."""
    return int(trial.get("trained_epochs", len(trial["seconds"]["epochs"])))
