"""The gradient of the summed losses, from the passes of a strategy's step."""

from typing import Any

from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.partition import Partition
from keras_mtl.gradients.passes import Update
from keras_mtl.training.batch import Batch
from keras_mtl.training.commit import full_gradients
from keras_mtl.training.look import Look
from keras_mtl.training.passes import FirstPass
from keras_mtl.training.point import Point
from keras_mtl.training.start import Start
from keras_mtl.training.values import Values
from keras_mtl.typing import Tensor


class TaskSteps:
    """Takes gradients task by task, as the steps of a plan do.

    Args:
        model: A built and compiled `MultiTaskModel` with a plan.
        batch: A batch.
        replay: Has the random numbers that all passes see.
    """

    def __init__(self, model: Any, batch: Batch, replay: backend.RandomReplay):
        plan = model.training_plan
        self._kind = plan.strategy.kind
        self._partition = plan.partition
        self._values = Values(plan.partition, plan.state_variables, plan.bypass)
        self._chosen = [
            i
            for i in range(len(plan.partition.variables))
            if i not in plan.partition.overwritten
        ]
        point = Point(model, batch, self._values, replay)
        with replay():
            self._clean: FirstPass = self._kind.at_weights.start(
                Start(point, plan.split)
            )
        self._ones = ops.ones_like(self._clean.losses)

    def at_weights(self) -> Look:
        """Loss, and gradients with those of regularizers, at the weights."""
        clean, ones = self._clean, self._ones
        total = _Total(self._partition)
        update = self._kind.at_weights.plain(clean, ones)
        if update is None:
            for k in range(len(self._partition.tasks)):
                total.add(k, *clean.row(k, ones[k]))
            update = total.update()
        gradients = full_gradients(self._partition, self._values, clean, update)
        return self._look(ops.sum(clean.losses), gradients, total)

    def nearby(self, offsets: list[Tensor]) -> Look:
        """Loss and gradients without regularizers, in passes near the weights.

        Args:
            offsets: One tensor per variable that is not overwritten.
        """
        by_index = dict(zip(self._chosen, offsets, strict=True))
        tasks = range(len(self._partition.tasks))
        total, loss = _Total(self._partition), 0.0
        if self._kind.looks_by_task:
            for k in tasks:
                near = self._clean.near(self._offsets(by_index, k), task=k)
                loss = loss + near.losses[0]
                total.add(k, *near.task_gradient(self._ones[k]))
        else:
            near_all = self._clean.near(self._offsets(by_index))
            loss = ops.sum(near_all.losses)
            for k in tasks:
                total.add(k, *near_all.row(k, self._ones[k]))
        gradients = total.update().by_index(self._partition)
        return self._look(loss, gradients, total)

    def _offsets(
        self, by_index: dict[int, Tensor], task: int | None = None
    ) -> list[Tensor]:
        return [by_index[i] for i in self._values.in_order(task)]

    def _look(
        self, loss: Tensor, gradients: list[Tensor | None], total: "_Total"
    ) -> Look:
        return Look(
            loss,
            [
                ops.zeros_like(self._values.trainable[i])
                if gradients[i] is None
                else gradients[i]
                for i in self._chosen
            ],
            [ops.sqrt(total.squares.get(i, 0.0)) for i in self._chosen],
        )


class _Total:
    """Sums of task gradients, which come one task at a time.

    Args:
        partition: The `Partition`.
    """

    def __init__(self, partition: Partition):
        self._partition = partition
        self._sums: dict[int, Tensor] = {}
        self.squares: dict[int, Tensor] = {}

    def add(self, task: int, row: list[Tensor], own: list[Tensor]) -> None:
        """Adds the gradients of a task.

        Args:
            task: Its index.
            row: One tensor per shared variable.
            own: One per variable of its own.
        """
        places = [*self._partition.shared, *self._partition.own[task]]
        for i, gradient in zip(places, [*row, *own], strict=True):
            square = ops.sum(ops.square(ops.cast(gradient, "float32")))
            if i in self._sums:
                gradient = self._sums[i] + gradient
                square = self.squares[i] + square
            self._sums[i], self.squares[i] = gradient, square

    def update(self) -> Update:
        """The sums as an `Update`."""
        partition = self._partition
        return Update(
            [self._sums[i] for i in partition.shared],
            [[self._sums[i] for i in own] for own in partition.own],
            True,
        )
