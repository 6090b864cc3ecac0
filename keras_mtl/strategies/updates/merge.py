"""Merging task gradients among the tasks that take part."""

from collections.abc import Callable

from keras import ops

from keras_mtl.aggregators import Aggregator
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.passes import Source
from keras_mtl.gradients.record import Recorder
from keras_mtl.strategies.sharing import Sharing
from keras_mtl.typing import Tensor


class Merge:
    """Merges task gradients by an aggregator, and notes what they are.

    Args:
        aggregator: The aggregator, or what applies it to groups.
        sharing: Which tasks reach which shared variables.
        recorder: Notes what is merged.
    """

    def __init__(
        self, aggregator: Aggregator, sharing: Sharing, recorder: Recorder
    ):
        self.aggregator = aggregator
        self.sharing = sharing
        self.recorder = recorder

    def __call__(
        self, rows: Jacobian, source: Source, sharing: Sharing | None = None
    ) -> list[Tensor]:
        """Returns the update, one tensor per shared variable.

        Args:
            rows: The task gradients.
            source: Has the losses that they are gradients of.
            sharing: Of what the rows are gradients by. Defaults to `None`:
                that of the shared variables.
        """
        self.recorder.rows("loss", rows)
        merged = (sharing or self.sharing).merge(
            self.aggregator, rows, source.losses, source.mask
        )
        self.recorder.row_weights(rows.row_weights)
        return merged

    def without_record(
        self, rows: Jacobian, losses: Tensor, mask: Tensor | None
    ) -> list[Tensor]:
        """Returns the update, and notes nothing.

        Args:
            rows: The task gradients.
            losses: Tensor `[K]` of task losses.
            mask: Tensor `[K]`, 1 for tasks that take part, or `None` for all.
        """
        return self.sharing.merge(self.aggregator, rows, losses, mask)

    def weights_by_variable(
        self, weights: Tensor, weigh: Callable[..., Tensor], mask: Tensor | None
    ) -> list[tuple[Tensor, list[int]]]:
        """Returns task weights times row weights, by variables.

        Args:
            weights: Tensor `[K]` of task weights.
            weigh: Function from those who take part to row weights `[K]`.
            mask: Tensor `[K]`, 1 for present tasks, or `None` if all are.
        """
        by_variable = self.sharing.weights_by_variable(
            weigh, mask, weights.dtype
        )
        return [
            (ops.cast(rows, weights.dtype) * weights, places)
            for rows, places in by_variable
        ]
