"""A forward pass of one task."""

import contextlib
from typing import Any

from keras import ops

from keras_mtl import backend
from keras_mtl.training.differentiated import Differentiated
from keras_mtl.training.point import Point
from keras_mtl.typing import Tensor


class TaskPass(Differentiated):
    """A pass of one task near the weights: its losses and their gradients.

    Args:
        point: Where it is made.
        original: The `Pass` that it repeats.
        task: Index of the task.
    """

    def __init__(self, point: Point, original: Any, task: int):
        shares = original.shares
        if shares is not None:
            shares = shares.only(task)
        super().__init__(point, shares)
        self.task = task
        self._draws = original.draws
        trainable = point.trainable()
        # Another head's variables cannot matter.
        wanted = self.partition.reached_by(task)
        position = {i: n for n, i in enumerate(wanted)}

        def function(chosen: list[Tensor]) -> tuple[list[Tensor], Any]:
            values = list(trainable)
            for i, value in zip(wanted, chosen, strict=True):
                values[i] = value
            return [self._run(values)], None

        replay = point.replay
        with contextlib.nullcontext() if replay is None else replay():
            losses, _, pullback = backend.linearize(
                function, [trainable[i] for i in wanted]
            )
        self._pullback = lambda cotangents, indices, last: pullback(
            cotangents, [position[i] for i in indices], last
        )
        self.losses = ops.stack(losses)
        if self.shares is not None:
            self.losses = self.shares.mean(self.losses)

    def task_gradient(
        self, weight: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Gradients by shared and own variables. May be asked for once."""
        return self.rows_of(self.task, 0, weight, last=True)

    def _run(self, trainable: list[Tensor]) -> Tensor:
        """The loss of the task, from as little of the model as will do.

        Without the other heads, layers may draw other random numbers than in
        the clean pass: those that several tasks call, and on torch those that
        draw from the global generator. Then the whole model is run.
        """
        model, replay = self.point.model, self.point.replay
        task = self.partition.tasks[self.task]
        if replay is None:
            # Other random numbers are wanted, and any will do.
            return self._loss(task, trainable, alone=True)[0]
        if task not in model.entangled_tasks:
            loss, draws = self._loss(task, trainable, alone=True)
            if replay.is_at_end() and all(
                count == self._draws.get(generator)
                for generator, count in draws.items()
            ):
                return loss
            model.entangled_tasks.add(task)
        with replay():
            loss, _ = self._loss(task, trainable, alone=False)
        return loss

    def _loss(
        self, task: str, trainable: list[Tensor], alone: bool
    ) -> tuple[Tensor, dict[int, int]]:
        point = self.point
        with point.values.scope(trainable) as scope:
            loss = point.model.single_task_loss(
                task,
                point.batch.x,
                point.batch.y,
                point.batch.sample_weight,
                alone,
            )
        return loss, scope.draws
