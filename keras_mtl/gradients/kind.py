"""The contract of kinds of update."""

from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import Start
from keras_mtl.gradients.passes import Update
from keras_mtl.typing import Tensor


class UpdateKind:
    """How a step gets from losses to an update.

    A kind has no state that is saved, and decides nothing that a step could
    change: which kind a strategy has follows from its arguments.
    """

    #: Whether passes nearby are made task by task.
    looks_by_task = False

    #: Whether the first pass is one of the trunk and one of the rest.
    in_halves = False

    #: Whether some steps take gradients in a branch that others leave out.
    branches = False

    def start(self, start: Start) -> ForwardPass:
        """Returns the first pass of a step.

        Args:
            start: Makes it.
        """
        return start.forward()

    def __call__(self, clean: ForwardPass, weights: Tensor) -> Update:
        """Returns the update.

        Args:
            clean: The first pass.
            weights: Tensor `[K]` of task weights.
        """
        raise NotImplementedError

    @property
    def at_weights(self) -> "UpdateKind":
        """The kind whose first pass is made at the weights."""
        return self

    def plain(self, clean: ForwardPass, ones: Tensor) -> Update | None:
        """Returns the gradients of the sum of the losses, in the kind's way.

        Args:
            clean: A pass, with all that `__call__` asks for.
            ones: Tensor `[K]`.

        Returns:
            `None` for a kind that takes the gradient of each task.
        """
        return None
