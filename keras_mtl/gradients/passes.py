"""What a kind of update asks of the training step, and what it gives back."""

import dataclasses
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import TypeAlias
from typing import overload

from keras import ops

from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.partition import Partition
from keras_mtl.gradients.record import Record
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

#: Weights of the tasks, or pairs of weights and the places of those shared
#: variables that have them.
SharedWeights: TypeAlias = Tensor | Sequence[tuple[Tensor, Sequence[int]]]


@dataclasses.dataclass
class TaskGradients:
    """Gradients of K task losses.

    Attributes:
        shared: Jacobian of the shared variables.
        own: For each task, the gradients of its own variables.
    """

    shared: Jacobian
    own: list[list[Tensor]]


@dataclasses.dataclass
class Update:
    """What is handed to the optimizer, and whether it may be.

    Attributes:
        shared: One tensor per shared variable.
        own: For each task, one tensor per own variable.
        finite: Bool tensor `[K]`: losses and gradients of the task are
            finite, as far as they were looked at.
        with_penalties: Whether the gradient of regularizers and `add_loss`
            terms is part of it already.
        source: The `Source` that it was made of, as soon as it is known.
        weights: Tensor `[K]` of task weights that the losses had.
        record: What was noted on the way, if somebody watches.
    """

    shared: list[Tensor]
    own: list[list[Tensor]]
    finite: Tensor
    with_penalties: bool = False
    source: Any = None
    weights: Tensor | None = None
    record: Record | None = None

    def by_index(self, partition: Partition) -> list[Tensor | None]:
        """One gradient per trainable variable, `None` where no task has one.

        Args:
            partition: The `Partition` of the variables.
        """
        gradients: list[Tensor | None] = [None] * len(partition.variables)
        for i, gradient in zip(partition.shared, self.shared, strict=True):
            gradients[i] = gradient
        for indices, own in zip(partition.own, self.own, strict=True):
            for i, gradient in zip(indices, own, strict=True):
                gradients[i] = gradient
        return gradients

    def in_order(self) -> list[Tensor]:
        """The shared updates, then the own ones task by task."""
        return [*self.shared, *(update for task in self.own for update in task)]


def finite_tasks(losses: Tensor, jacobian: Jacobian) -> Tensor:
    """Bool tensor `[K]`: loss and known gradient norm are finite."""
    finite = ops.isfinite(losses)
    if jacobian.known_gramian is not None:
        norms = ops.diagonal(jacobian.known_gramian)
        finite = ops.logical_and(finite, ops.isfinite(norms))
    return finite


class Source(Protocol):
    """Losses of the tasks and their gradients, of one batch or of several.

    Attributes:
        losses: Tensor `[K]` of weighted task losses; one entry if the pass is
            that of a single task.
        mask: Tensor `[K]`, 1 for present tasks, or `None` if all are.
        due: Bool scalar: an update is to be made of them. `None` if it always
            is.
    """

    losses: Tensor
    mask: Tensor | None
    due: Tensor | None

    def task_gradients(
        self, weights: Tensor, last: bool = False, stacked: bool = False
    ) -> TaskGradients:
        """Returns the gradient of each task's loss times its weight.

        With `last`, no more gradients of this pass may be asked for: what
        they would need is freed where that is possible. With `stacked`, the
        stacks of the rows will be asked for.
        """


class SingleTaskPass(Protocol):
    """A forward pass of one task.

    Attributes:
        losses: Tensor `[1]`.
    """

    losses: Tensor

    def task_gradient(
        self, weight: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Gradients of shared and own variables.

        May be asked for once.
        """

    def release(self) -> None:
        """Tells that no more gradients of this pass are needed."""


class ForwardPass(Source, Protocol):
    """One forward pass of all tasks, whose losses can be differentiated."""

    def row(
        self, task: int, weight: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Gradients of one task by the shared and by its own variables."""

    def total(
        self,
        shared_weights: SharedWeights,
        own_weights: Tensor,
        penalties: bool = True,
        last: bool = False,
    ) -> Update:
        """Returns the gradients of weighted sums of the losses.

        Args:
            shared_weights: The same object as `own_weights`, for one backward
                pass; or pairs of task weights `[K]` and the places of those
                shared variables whose gradient has them, for one pass each.
            own_weights: Task weights `[K]` of the tasks' own variables.
            penalties: Whether to include the gradient of regularizers and
                `add_loss` terms. Defaults to `True`.
            last: As for `task_gradients`.
        """

    def gradients_by(self, places: Sequence[int], weights: Tensor) -> Jacobian:
        """Returns the rows of `task_gradients` by some shared variables.

        Args:
            places: Places of these among the shared variables.
            weights: Tensor `[K]` of task weights.
        """

    def own_gradients(self, weights: Tensor) -> list[list[Tensor]]:
        """For each task, the gradients of its own variables."""

    def part(self, index: int, count: int) -> "ForwardPass":
        """Repeats the pass on every `count`-th sample, from `index` on."""

    def on(
        self,
        x: Tensor,
        y: Any,
        sample_weight: Any,
        offsets: Sequence[Tensor | None],
    ) -> "ForwardPass":
        """Makes a pass on other data, at the values plus `offsets`."""

    @overload
    def near(
        self,
        offsets: Sequence[Tensor | None],
        task: None = None,
        draw: int | None = None,
    ) -> "ForwardPass":
        """Repeats the pass at the values plus `offsets`, leaving no trace.

        Args:
            offsets: One tensor or `None` per shared variable, then per own
                variable (of the task, or of all tasks in turn).
            task: Index of the only task to look at, or `None` for all.
            draw: Number of the random numbers to see, from 1 on, or `None`
                for those of this pass.
        """

    @overload
    def near(
        self,
        offsets: Sequence[Tensor | None],
        task: int,
        draw: int | None = None,
    ) -> SingleTaskPass: ...

    def losses_near(self, offsets: Sequence[Tensor | None]) -> Tensor:
        """Returns the task losses `[K]` at the values plus `offsets`.

        Like `near`, for all tasks, without gradients.
        """

    def values_of(self, task: int | None = None) -> list[Tensor]:
        """Values of the shared variables, then of own ones, as in `near`."""

    def variables_of(self, task: int | None = None) -> list[Variable]:
        """The variables of `values_of(task)`."""

    def release(self) -> None:
        """Tells that no more gradients of this pass are needed."""


class BothWaysPass(ForwardPass, Protocol):
    """A forward pass that gives slopes along directions, too."""

    def task_gramian(
        self, weights: Tensor, switches: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Returns the Gramian `[K, K]` of the rows of `task_gradients`.

        Holds one of them at a time. With `switches`, one bool scalar per
        shared variable, only of those variables where it is True.
        """


class HalvesPass(ForwardPass, Protocol):
    """A forward pass of the trunk, and one of what comes after it."""

    def representation_gradients(self, weights: Tensor) -> TaskGradients:
        """Like `task_gradients`, by the outputs of the trunk."""

    def through_trunk(self, by_feature: list[Tensor]) -> list[Tensor]:
        """Takes one gradient by the trunk's outputs to shared variables."""


class Start(Protocol):
    """Makes the first pass of a step."""

    def forward(self, both_ways: bool = False) -> ForwardPass:
        """Makes a pass of the whole network.

        Args:
            both_ways: Whether it is to be a `BothWaysPass`.
        """

    def forward_in_halves(self) -> ForwardPass:
        """Makes a pass of the trunk, then one of what comes after it.

        A `HalvesPass`; one of the whole network, where the tasks share no
        variable.
        """

    def moved(self, offsets: Sequence[Tensor | None]) -> "Start":
        """Returns what makes it at other values.

        Args:
            offsets: One tensor or `None` per shared, then per own variable.
        """

    def values_of(self, task: int | None = None) -> list[Tensor]:
        """Values of the shared variables, then of own ones."""

    def variables_of(self, task: int | None = None) -> list[Variable]:
        """The variables of `values_of(task)`."""

    @property
    def num_shared(self) -> int:
        """How many shared variables there are."""
