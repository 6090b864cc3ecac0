"""What a strategy hands to the flatness regularizer that it has."""

import dataclasses
from collections.abc import Callable
from typing import Any
from typing import Protocol

from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import Source
from keras_mtl.gradients.record import Recorder
from keras_mtl.typing import Tensor


class Join(Protocol):
    """Merges clean and perturbed task gradients as `combine` says."""

    def __call__(
        self,
        clean: Jacobian,
        sharp: Jacobian,
        source: Source,
        flat_mask: Tensor,
    ) -> list[Tensor]:
        """Returns the update, one tensor per shared variable.

        Args:
            clean: Gradients at the weights.
            sharp: Gradients at the perturbed weights.
            source: Has the losses at the weights.
            flat_mask: Tensor `[K]`, 1 for tasks that were perturbed.
        """

    def own(
        self, clean: list[list[Tensor]], sharp: list[list[Tensor]]
    ) -> list[list[Tensor]]:
        """Returns the update of the tasks' own variables.

        Args:
            clean: For each task, gradients at the weights.
            sharp: Those at the perturbed weights.
        """


@dataclasses.dataclass
class Parts:
    """The other parts of a strategy.

    Attributes:
        balancer: The `Balancer`.
        at_one_point: The kind of update from gradients at one point.
        join: Merges gradients at and near the weights.
        takes_sharp_alone: Whether that looks at the latter alone.
        merge: Merges task gradients, given losses and a mask `[K]`.
        recorder: Notes what is merged.
        iterations: Returns the number of steps made so far.
    """

    balancer: Any
    at_one_point: UpdateKind
    join: Join
    takes_sharp_alone: bool
    merge: Callable[[Jacobian, Tensor, Tensor | None], list[Tensor]]
    recorder: Recorder
    iterations: Callable[[], Tensor]
