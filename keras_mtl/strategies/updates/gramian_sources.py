"""What the Gramian of the tasks is taken of, before rows are weighed."""

from collections.abc import Sequence
from typing import cast

from keras_mtl.gradients.passes import BothWaysPass
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import HalvesPass
from keras_mtl.gradients.passes import Start
from keras_mtl.strategies.chosen_variables import ChosenVariables
from keras_mtl.typing import Tensor


class GramianSource:
    """The contract: the first pass that it needs, and the Gramian of that."""

    #: Whether the first pass is one of the trunk and one of the rest.
    in_halves = False

    def start(self, start: Start) -> ForwardPass:
        """Returns the first pass of a step."""
        return start.forward()

    def __call__(
        self,
        clean: ForwardPass,
        weights: Tensor,
        switches: Sequence[Tensor] | None,
    ) -> Tensor:
        """Returns the Gramian `[K, K]` of the weighted losses' gradients.

        Args:
            clean: The first pass.
            weights: Tensor `[K]` of task weights.
            switches: One bool scalar per shared variable, False where it
                does not count; `None` if all do.
        """
        raise NotImplementedError


class RowByRow(GramianSource):
    """Of all shared variables, with one gradient at a time."""

    def start(self, start: Start) -> ForwardPass:
        return start.forward(both_ways=True)

    def __call__(
        self,
        clean: ForwardPass,
        weights: Tensor,
        switches: Sequence[Tensor] | None,
    ) -> Tensor:
        return cast(BothWaysPass, clean).task_gramian(weights, switches)


class OfVariables(GramianSource):
    """Of some of the shared variables: backward passes stop there.

    Args:
        chosen: Which ones.
    """

    def __init__(self, chosen: ChosenVariables):
        self.chosen = chosen

    def __call__(
        self,
        clean: ForwardPass,
        weights: Tensor,
        switches: Sequence[Tensor] | None,
    ) -> Tensor:
        places = self.chosen.places
        rows = clean.gradients_by(places, weights)
        if switches is not None:
            rows = rows.switched([switches[i] for i in places])
        return rows.gramian()


class OfRepresentation(GramianSource):
    """Of the outputs of the trunk: backward passes stop there."""

    in_halves = True

    def start(self, start: Start) -> ForwardPass:
        return start.forward_in_halves()

    def __call__(
        self,
        clean: ForwardPass,
        weights: Tensor,
        switches: Sequence[Tensor] | None,
    ) -> Tensor:
        halves = cast(HalvesPass, clean)
        return halves.representation_gradients(weights).shared.gramian()
