"""Forward passes of all tasks at explicit values, and their gradients."""

import contextlib
import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import overload

from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.partition import Partition
from keras_mtl.gradients.passes import SharedWeights
from keras_mtl.gradients.passes import TaskGradients
from keras_mtl.gradients.passes import Update
from keras_mtl.training.batch import Batch
from keras_mtl.training.differentiated import Differentiated
from keras_mtl.training.point import Point
from keras_mtl.training.replicas import Shares
from keras_mtl.training.task_pass import TaskPass
from keras_mtl.training.values import State
from keras_mtl.training.values import losses_at
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable


class Pass(Differentiated):
    """A forward pass that can be differentiated.

    Args:
        point: Where it is made.
        original: The pass that this one repeats near its values or on other
            data, or `None` for the first one of a step.
    """

    due = None

    def __init__(self, point: Point, original: "Pass | None" = None):
        super().__init__(point)
        self.mask: Tensor | None = None
        #: How often the first pass drew from each seed generator.
        self.draws: dict[int, int] | None = None
        if original is not None:
            self.draws = original.draws
        trainable = point.trainable()
        replay = None if original is None else point.replay
        with contextlib.nullcontext() if replay is None else replay():
            losses, aux = self._linearize(trainable)
        self._settle(losses, aux, original)

    def _linearize(self, trainable: list[Tensor]) -> tuple[list[Tensor], Any]:
        """Runs the pass; returns losses and what else is kept of it."""
        losses, aux, self._pullback = backend.linearize(self._run, trainable)
        return losses, aux

    def _run(self, trainable: list[Tensor]) -> tuple[list[Tensor], Any]:
        model = self.point.model
        with self.point.values.scope(trainable):
            outputs = model(self.point.batch.x, training=True)
            task_losses, presence = self._losses_of(outputs)
        return list(model.task_losses.weigh(task_losses)), presence

    def _losses_of(self, outputs: Any) -> tuple[dict[str, Tensor], Any]:
        """Returns the losses of outputs by task, and who is present."""
        model, batch = self.point.model, self.point.batch
        task_losses = model.compute_task_losses(
            batch.x, batch.y, outputs, batch.sample_weight, training=True
        )
        presence = model.find_presence(
            batch.x, batch.y, outputs, batch.sample_weight
        )
        return task_losses, presence

    def _settle(
        self, losses: list[Tensor], aux: Any, original: "Pass | None"
    ) -> None:
        """Takes the losses, and finds out who is present."""
        self.losses = ops.stack(losses)
        if original is not None and original.point.batch is self.point.batch:
            self.mask, self.shares = original.mask, original.shares
            self.losses = self.averaged(self.losses)
            return
        self.mask = aux
        if backend.num_replicas() > 1:
            self.shares = Shares(self.losses, aux, ops.sum(self.losses))
            self.losses, self.mask = self.shares.losses, self.shares.mask

    def averaged(self, losses: Tensor) -> Tensor:
        """Means over the replicas of task losses `[K]` computed here."""
        return losses if self.shares is None else self.shares.mean(losses)

    # ------------------------------------------------------- gradients

    def task_gradients(
        self, weights: Tensor, last: bool = False, stacked: bool = False
    ) -> TaskGradients:
        num_tasks = len(self.partition.tasks)
        own = []

        def rows() -> Iterator[list[Tensor]]:
            for k in range(num_tasks):
                row, own_gradients = self.rows_of(
                    k, k, weights[k], last and k == num_tasks - 1
                )
                own.append(own_gradients)
                yield row

        dtype = self.point.values.dtype
        jacobian = Jacobian.gather(rows(), num_tasks, dtype, stacked)
        return TaskGradients(jacobian, own)

    def gradients_by(self, places: Sequence[int], weights: Tensor) -> Jacobian:
        partition, dtype = self.partition, self.point.values.dtype
        indices = [partition.shared[place] for place in places]
        num_tasks = len(partition.tasks)

        def rows() -> Iterator[list[Tensor]]:
            for k in range(num_tasks):
                reached = [i for i in indices if k in partition.tasks_of[i]]
                pulled = self.pull({k: weights[k]}, reached)
                gradients = dict(zip(reached, pulled, strict=True))
                yield [
                    gradients[i]
                    if i in gradients
                    else ops.zeros_like(self.point.values.trainable[i])
                    for i in indices
                ]

        return Jacobian.gather(rows(), num_tasks, dtype)

    def row(
        self, task: int, weight: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Gradients of one task by the shared and by its own variables."""
        return self.rows_of(task, task, weight)

    def total(
        self,
        shared_weights: SharedWeights,
        own_weights: Tensor,
        penalties: bool = True,
        last: bool = False,
    ) -> Update:
        partition = self.partition
        # Only the first pass of a step has penalties.
        others = self._penalty_seed() if penalties else {}

        def cotangents(weights: Tensor) -> dict[int, Tensor]:
            return {**_by_task(weights, partition), **others}

        own = [i for indices in partition.own for i in indices]
        if shared_weights is own_weights:
            wanted = [*partition.shared, *own]
            pulled = self.pull(cotangents(own_weights), wanted, last)
        else:
            wanted, pulled = [], []
            for weights, places in shared_weights:
                of_class = [partition.shared[place] for place in places]
                pulled += self.pull(cotangents(weights), of_class)
                wanted += of_class
            pulled += self.pull(cotangents(own_weights), own, last)
            wanted += own
        by_index = dict(zip(wanted, pulled, strict=True))
        return Update(
            [by_index[i] for i in partition.shared],
            [[by_index[i] for i in indices] for indices in partition.own],
            ops.isfinite(self.losses),
            with_penalties=bool(others),
        )

    def _penalty_seed(self) -> dict[int, Tensor]:
        """The cotangent of the penalties, if there are any."""
        return {}

    def own_gradients(self, weights: Tensor) -> list[list[Tensor]]:
        partition = self.partition
        own = [i for indices in partition.own for i in indices]
        pulled = self.pull(_by_task(weights, partition), own)
        by_index = dict(zip(own, pulled, strict=True))
        return [[by_index[i] for i in indices] for indices in partition.own]

    # ---------------------------------------------------- other passes

    def part(self, index: int, count: int) -> "Pass":
        return Pass(self.point.on(self.point.batch.part(index, count)), self)

    def on(
        self,
        x: Tensor,
        y: Any,
        sample_weight: Any,
        offsets: Sequence[Tensor | None],
    ) -> "Pass":
        point = self.point.on(Batch(x, y, sample_weight))
        return Pass(point.moved(offsets), self)

    @overload
    def near(
        self,
        offsets: Sequence[Tensor | None],
        task: None = None,
        draw: int | None = None,
    ) -> "Pass": ...

    @overload
    def near(
        self,
        offsets: Sequence[Tensor | None],
        task: int,
        draw: int | None = None,
    ) -> TaskPass: ...

    def near(
        self,
        offsets: Sequence[Tensor | None],
        task: int | None = None,
        draw: int | None = None,
    ) -> "Pass | TaskPass":
        point = self.point.moved(offsets, task).with_other_numbers(draw)
        if task is None:
            return Pass(point, self)
        return TaskPass(point, self, task)

    def losses_near(self, offsets: Sequence[Tensor | None]) -> Tensor:
        point = self.point.moved(offsets)
        with point.replay():
            losses = losses_at(
                point.model, point.batch, point.values, point.trainable()
            )
        return self.averaged(losses)

    def values_of(self, task: int | None = None) -> list[Tensor]:
        return self.point.values.values_of(task)

    def variables_of(self, task: int | None = None) -> list[Variable]:
        return self.point.values.variables_of(task)


@dataclasses.dataclass
class Outcome:
    """What the first pass leaves besides its losses.

    Attributes:
        outputs: The model's outputs.
        task_losses: Task losses by name, without `loss_weights`.
        presence: Tensor `[K]`, 1 for tasks with labels in the batch, or
            `None` if all have.
        state: The state that the pass leaves, for `Values.assignments`.
        total: The weighted sum of all losses, penalties included.
        is_finite: Bool scalar: that sum is finite, and of some samples.
    """

    outputs: Any
    task_losses: dict[str, Tensor]
    presence: Tensor | None
    state: State
    total: Tensor
    is_finite: Tensor


class FirstPass(Pass):
    """The first pass of a step, which all others repeat.

    Its state is kept, and its losses are followed by the sum of regularizers
    and `add_loss` terms: its penalties.

    Args:
        point: Where it is made.
    """

    outcome: Outcome

    def _run(self, trainable: list[Tensor]) -> tuple[list[Tensor], Any]:
        model = self.point.model
        with self.point.values.scope(trainable) as scope:
            outputs = model(self.point.batch.x, training=True)
            # Of this call, not of those that losses make.
            penalties = [ops.sum(penalty) for penalty in model.losses]
            task_losses, presence = self._losses_of(outputs)
        self._note_draws(scope.draws)
        state = self.point.values.state_after(scope)
        return self._summed_up(outputs, task_losses, presence, penalties, state)

    def _note_draws(self, draws: dict[int, int]) -> None:
        if self.draws is None:
            self.draws = draws

    def _summed_up(
        self,
        outputs: Any,
        task_losses: dict[str, Tensor],
        presence: Tensor,
        penalties: list[Tensor],
        state: State,
    ) -> tuple[list[Tensor], Any]:
        """Returns what is differentiated, and what else the pass leaves."""
        losses = list(self.point.model.task_losses.weigh(task_losses))
        if penalties:
            losses.append(sum(penalties[1:], penalties[0]))
        total = sum(losses[1:], losses[0])
        return losses, (outputs, task_losses, presence, state, total)

    def _settle(
        self, losses: list[Tensor], aux: Any, original: "Pass | None"
    ) -> None:
        partition, batch = self.partition, self.point.batch
        num_tasks = len(partition.tasks)
        self.losses = ops.stack(losses[:num_tasks])
        self._has_penalties = len(losses) > num_tasks
        outputs, by_task, presence, state, total = aux
        # JAX returns dicts with sorted keys.
        by_task = {name: by_task[name] for name in partition.tasks}
        # Losses are 0 where there are no samples; penalties need not be.
        is_finite = ops.logical_and(ops.isfinite(total), batch.has_samples)
        self.mask = presence
        if backend.num_replicas() > 1:
            self.shares = Shares(self.losses, presence, total)
            self.losses, self.mask = self.shares.losses, self.shares.mask
            is_finite = self.shares.is_finite
        self.outcome = Outcome(
            outputs, by_task, presence, state, total, is_finite
        )
        if self.point.replay is not None:
            self.point.replay.note_end()

    # ------------------------------------------------------- gradients

    def task_gradients(
        self, weights: Tensor, last: bool = False, stacked: bool = False
    ) -> TaskGradients:
        # Gradients of penalties may be still to come.
        more = self._has_penalties or bool(self.partition.overwritten)
        return super().task_gradients(weights, last and not more, stacked)

    def total(
        self,
        shared_weights: SharedWeights,
        own_weights: Tensor,
        penalties: bool = True,
        last: bool = False,
    ) -> Update:
        partition = self.partition
        more = bool(partition.overwritten) or (
            self._has_penalties and (bool(partition.idle) or not penalties)
        )
        update = super().total(
            shared_weights, own_weights, penalties, last and not more
        )
        update.with_penalties = penalties
        return update

    def _penalty_seed(self) -> dict[int, Tensor]:
        if not self._has_penalties:
            return {}
        one = ops.ones((), dtype=self.losses.dtype)
        return {len(self.partition.tasks): one}

    def penalty_gradients(self, wanted: list[int]) -> list[Tensor] | None:
        """Gradients of regularizers and `add_loss` terms, or `None`."""
        if not self._has_penalties:
            return None
        return self.pull(self._penalty_seed(), wanted)

    def overwrites(self, weights: Tensor) -> dict[int, Tensor]:
        """What variables become that their layers set in the backward pass.

        Such as the scales of `quantize("float8")`: Keras's optimizers assign
        the "gradient" by `variable.overwrite_with_gradient` as it is. It is no
        derivative, which could be merged or added up: it is taken of the sum
        of the losses, as in a step of `keras.Model`.

        Args:
            weights: Tensor `[K]` of task weights.

        Returns:
            Dict from indices of variables to values.
        """
        wanted = self.partition.overwritten
        if not wanted:
            return {}
        cotangents = {
            **_by_task(weights, self.partition),
            **self._penalty_seed(),
        }
        values = self._pullback(self.scaled(cotangents), wanted, last=True)
        count = backend.num_replicas()
        if count > 1:
            values = [v / count for v in backend.sum_over_replicas(values)]
        return dict(zip(wanted, values, strict=True))


def _by_task(weights: Tensor, partition: Partition) -> dict[int, Tensor]:
    return {k: weights[k] for k in range(len(partition.tasks))}
