"""Where a pass is made, and on what."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_mtl.training.batch import Batch
from keras_mtl.training.values import Values
from keras_mtl.typing import Tensor


@dataclasses.dataclass
class Point:
    """What one pass computes with.

    Attributes:
        model: The `MultiTaskModel`.
        batch: The batch.
        values: Values at the start of the step.
        replay: The `backend.RandomReplay` of the step, or `None` for other
            random numbers.
        scale: The optimizer's loss scale, or `None`.
        offsets: Tensors to be added to some of the trainable values, by index
            of the variable. The dict is emptied.
    """

    model: Any
    batch: Batch
    values: Values
    replay: Any
    scale: Tensor | None = None
    offsets: dict[int, Tensor] = dataclasses.field(default_factory=dict)

    def trainable(self) -> list[Tensor]:
        """The values of the trainable variables, offsets included."""
        trainable = list(self.values.trainable)
        for i in list(self.offsets):
            # The memory of each may serve the next.
            trainable[i] = trainable[i] + self.offsets.pop(i)
        return trainable

    def on(self, batch: Batch) -> "Point":
        """The same, on another batch."""
        return dataclasses.replace(self, batch=batch)

    def moved(
        self, offsets: Sequence[Tensor | None], task: int | None = None
    ) -> "Point":
        """The same, elsewhere.

        Args:
            offsets: One tensor or `None` per shared variable, then per own
                variable (of the task, or of all tasks in turn).
            task: Index of the only task to look at, or `None` for all.
        """
        in_order = self.values.in_order(task)
        by_index = {
            i: offset
            for i, offset in zip(in_order, offsets, strict=True)
            if offset is not None
        }
        return dataclasses.replace(self, offsets=by_index)

    def with_other_numbers(self, draw: int | None) -> "Point":
        """The same, with other random numbers.

        Args:
            draw: Number of the random numbers to see, from 1 on, or `None`
                for those of the step.
        """
        if draw is None:
            return self
        values = self.values.with_other_seeds(draw)
        return dataclasses.replace(self, values=values, replay=None)
