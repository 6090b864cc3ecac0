"""Losses and gradients at one point, to be compared."""

import dataclasses

from keras_mtl.typing import Tensor


@dataclasses.dataclass
class Look:
    """What was computed at one point.

    Attributes:
        loss: The summed losses of the tasks.
        gradients: One tensor per variable: the gradients of that sum.
        sizes: For each variable, the norm of what was summed up.
    """

    loss: Tensor
    gradients: list[Tensor]
    sizes: list[Tensor]
