"""Losses and gradients at one point, to be compared."""

import dataclasses
from typing import Any


@dataclasses.dataclass
class Look:
    """What was computed at one point.

    Attributes:
        loss: The summed losses of the tasks.
        gradients: One tensor per variable: the gradients of that sum.
        sizes: For each variable, the norm of what was summed up.
    """

    loss: Any
    gradients: list[Any]
    sizes: list[Any]
