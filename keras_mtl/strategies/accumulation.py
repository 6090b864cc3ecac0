"""Losses and task gradients summed over several batches."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from keras import ops

from keras_mtl.component import Component
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import Source
from keras_mtl.gradients.passes import TaskGradients
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable


@dataclasses.dataclass
class Means:
    """Means over the batches since the last update, the current one included.

    A `Source`.

    Attributes:
        due: Bool scalar: the batch is the last one before an update.
        losses: Tensor `[K]` of task losses.
        mask: Tensor `[K]`, 1 for tasks that were present in any batch.
        gradients: The gradients of those losses.
    """

    due: Tensor | None
    losses: Tensor
    mask: Tensor | None
    gradients: TaskGradients

    def task_gradients(
        self, weights: Tensor, last: bool = False, stacked: bool = False
    ) -> TaskGradients:
        own = [
            [gradient * weights[task] for gradient in of_task]
            for task, of_task in enumerate(self.gradients.own)
        ]
        return TaskGradients(self.gradients.shared.scaled(weights), own)


if TYPE_CHECKING:
    # A checker of types fails where the two differ.
    def _as_source(means: Means) -> Source:
        return means


class Accumulation(Component):
    """Sums task gradients over `batches` batches.

    Merging is not linear: the mean of merged gradients of small batches is
    not what one large batch gives. The mean of the task gradients before they
    are merged is, where losses are means over samples and batches are of one
    size.

    Args:
        batches: Number of batches per update, at least 2.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(self, batches: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.batches = batches

    def build(
        self,
        num_tasks: int,
        shapes: Sequence[tuple[int, ...]],
        own_shapes: Sequence[Sequence[tuple[int, ...]]],
        dtype: str,
    ) -> None:
        """Creates the sums.

        Args:
            num_tasks: Number of tasks K.
            shapes: Shapes of the shared variables.
            own_shapes: For each task, shapes of its own variables.
            dtype: Dtype of the sums.
        """
        self.count = self.add_state("count", dtype="int32")
        self.task_losses = self.add_state("losses", (num_tasks,), dtype)
        self.presence = self.add_state("presence", (num_tasks,), dtype)
        self.shared = [
            self.add_state(f"shared_{index}", (num_tasks, *shape), dtype)
            for index, shape in enumerate(shapes)
        ]
        self.own = [
            self.add_state(f"own_{task}_{index}", shape, dtype)
            for task, of_task in enumerate(own_shapes)
            for index, shape in enumerate(of_task)
        ]
        self.built = True

    def add(self, clean: ForwardPass) -> Means:
        """Adds the gradients of a pass, and starts anew after the last one.

        Args:
            clean: The pass.
        """
        present = ops.ones_like(clean.losses)
        gradients = clean.task_gradients(present, last=True)
        if clean.mask is not None:
            present = ops.cast(clean.mask, present.dtype)
        count = ops.add(self.count, 1)
        due = ops.equal(count, self.batches)
        self.count.assign(ops.where(due, 0, count))
        presence = self._add(self.presence, present, due)
        # A task has the mean over the batches that it was present in.
        divisors = ops.maximum(presence, 1)
        own, sums = [], iter(self.own)
        for task, of_task in enumerate(gradients.own):
            own.append(
                [
                    self._add(next(sums), gradient, due) / divisors[task]
                    for gradient in of_task
                ]
            )
        stacks = [
            self._add(variable, stack, due)
            for variable, stack in zip(
                self.shared, gradients.shared.stacks, strict=True
            )
        ]
        jacobian = Jacobian(
            stacks=stacks,
            num_tasks=gradients.shared.num_tasks,
            dtype=gradients.shared.dtype,
        )
        return Means(
            due,
            self._add(self.task_losses, clean.losses, due) / divisors,
            ops.cast(presence > 0, presence.dtype),
            TaskGradients(jacobian.scaled(1 / divisors), own),
        )

    @staticmethod
    def _add(variable: Variable, value: Tensor, due: Tensor) -> Tensor:
        """Returns the sum; the variable keeps it until it is due."""
        total = ops.convert_to_tensor(variable) + ops.cast(
            value, variable.dtype
        )
        variable.assign(ops.where(due, ops.zeros_like(total), total))
        return total
