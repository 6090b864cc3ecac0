"""When the weights of rows are computed: in every step, or in every n-th."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_mtl.gradients.changes import changes_to
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable


@dataclasses.dataclass
class Weighed:
    """Weights of rows, and what they were computed from.

    Attributes:
        rows: Tensor `[K]` of row weights.
        gramian: Tensor `[K, K]`, the Gramian of the rows.
        taken: Bool scalar: it was taken in this step, else it is 0. `None` if
            it always is.
    """

    rows: Tensor
    gramian: Tensor
    taken: Tensor | None = None


class EveryStep:
    """Computes the weights of rows in every step.

    Args:
        aggregator: A `GramianAggregator`.
    """

    #: Whether steps take the Gramian in a branch.
    branches = False

    def __init__(self, aggregator: Any):
        self.aggregator = aggregator

    def __call__(
        self,
        take_gramian: Callable[[], Tensor],
        losses: Tensor,
        participants: Callable[[str], Tensor | None],
    ) -> Weighed:
        """Returns the weights of the rows.

        Args:
            take_gramian: Returns the Gramian `[K, K]` of the rows.
            losses: Tensor `[K]` of task losses.
            participants: Function from a dtype to who takes part, `[K]`, or
                `None` for all.
        """
        gramian = take_gramian()
        rows = self.aggregator.compute_weights(
            gramian, losses, participants(gramian.dtype)
        )
        return Weighed(rows, gramian)


class EveryNth(EveryStep):
    """Computes them in every n-th step; the others take the last ones.

    A task that has not taken part so far has the weight 1.

    Args:
        aggregator: A `GramianAggregator`.
        last: Returns the variable `[K]` that holds the last weights.
        is_due: Returns a bool scalar: they are computed anew.
    """

    branches = True

    def __init__(
        self,
        aggregator: Any,
        last: Callable[[], Variable],
        is_due: Callable[[], Tensor],
    ):
        super().__init__(aggregator)
        self.last = last
        self.is_due = is_due

    def __call__(
        self,
        take_gramian: Callable[[], Tensor],
        losses: Tensor,
        participants: Callable[[str], Tensor | None],
    ) -> Weighed:
        last, due = self.last(), self.is_due()
        dtype, num_tasks = last.dtype, int(last.shape[0])
        state = self.aggregator.variables
        present = participants(dtype)
        known = ops.convert_to_tensor(last.value)
        if present is None:
            present = ops.ones_like(known)

        def computed() -> list[Tensor]:
            with changes_to(state) as changes:
                new = super(EveryNth, self).__call__(
                    take_gramian, losses, participants
                )
            rows = ops.where(present > 0, ops.cast(new.rows, dtype), known)
            by_id = {id(variable): value for variable, value in changes}
            return [
                rows,
                ops.cast(new.gramian, dtype),
                *(by_id.get(id(v), ops.copy(v.value)) for v in state),
            ]

        def kept() -> list[Tensor]:
            # Copies: branches must not return their own inputs.
            zeros = ops.zeros((num_tasks, num_tasks), dtype)
            return [
                ops.copy(known),
                zeros,
                *(ops.copy(v.value) for v in state),
            ]

        rows, gramian, *values = ops.cond(due, computed, kept)
        last.assign(rows)
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        absent = ops.zeros_like(rows)
        return Weighed(ops.where(present > 0, rows, absent), gramian, due)
