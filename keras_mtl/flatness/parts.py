"""What a strategy hands to the flatness regularizer that it has."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_mtl.flatness.points import Nearby
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import Source
from keras_mtl.gradients.record import Recorder
from keras_mtl.typing import Tensor


class Join:
    """Merges clean and perturbed task gradients as `combine` says."""

    #: Whether it looks at the perturbed gradients alone.
    takes_sharp_alone = False

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
        raise NotImplementedError

    def own(
        self, clean: list[list[Tensor]], sharp: list[list[Tensor]]
    ) -> list[list[Tensor]]:
        """Returns the update of the tasks' own variables.

        Args:
            clean: For each task, gradients at the weights.
            sharp: Those at the perturbed weights.
        """
        return sharp


@dataclasses.dataclass
class Parts:
    """The other parts of a strategy.

    Attributes:
        balancer: The `Balancer`.
        at_one_point: The kind of update from gradients at one point.
        join: Merges gradients at and near the weights.
        merge: Merges task gradients, given losses and a mask `[K]`.
        recorder: Notes what is merged.
        sharing: The `Sharing`: which tasks reach which shared variables.
        iterations: Returns the number of steps made so far.
    """

    balancer: Any
    at_one_point: UpdateKind
    join: Join
    merge: Callable[[Jacobian, Tensor, Tensor | None], list[Tensor]]
    recorder: Recorder
    sharing: Any
    iterations: Callable[[], Tensor]

    def near(
        self, flatness: Any, clean: ForwardPass, weights: Tensor
    ) -> Nearby:
        """Returns what makes the passes of a step near the weights.

        Args:
            flatness: The flatness regularizer.
            clean: The pass at the weights.
            weights: Tensor `[K]` of task weights there.
        """
        return Nearby(
            flatness,
            self.balancer,
            clean,
            weights,
            self.iterations(),
            self.sharing,
        )
