"""One forward pass at explicit values, and the gradients of its losses."""

import contextlib
import dataclasses
from typing import Any

from keras import ops

from keras_mtl import backend
from keras_mtl.aggregators.jacobian import Jacobian
from keras_mtl.strategies.passes import TaskGradients
from keras_mtl.strategies.passes import Update
from keras_mtl.training.batch import Batch
from keras_mtl.training.replicas import Shares
from keras_mtl.training.values import losses_at


@dataclasses.dataclass
class Outcome:
    """What a clean pass leaves besides its losses.

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
    task_losses: dict[str, Any]
    presence: Any
    state: list[Any]
    total: Any
    is_finite: Any


class Pass:
    """A forward pass that can be differentiated (a `ForwardPass`).

    Args:
        model: A `MultiTaskModel`.
        batch: The batch.
        values: Values at the start of the step.
        scale: The optimizer's loss scale, or `None`.
        replay: Context manager factory that repeats the clean pass's random
            numbers; `None` for the clean pass itself.
        offsets: Tensors to be added to some of the trainable values, by index
            of the variable. The dict is emptied.
        task: Index of the only task to look at, or `None`.
        mask: Tensor `[K]`, 1 for present tasks, or `None` to find out.
        draws: How often the clean pass drew from each seed generator.
        pushes: Whether `task_gramian` is to be asked for.
        shares: The `Shares` of the pass that this one repeats, where there
            are several replicas.
    """

    def __init__(
        self,
        model,
        batch,
        values,
        scale=None,
        replay=None,
        offsets=None,
        task=None,
        mask=None,
        draws=None,
        pushes=False,
        shares=None,
    ):
        self._pushes = pushes
        self._pushforward: Any = None
        self._model = model
        self._batch = batch
        self._values = values
        self._scale = scale
        self._task = task
        self._replay = replay
        self._partition = values.partition
        self._draws = draws
        #: How gradients lie in memory, by index of the variable.
        self.layouts: dict[int, Any] = {}
        self.mask = mask
        self.outcome: Outcome | None = None
        trainable = list(values.trainable)
        for i in list(offsets or ()):
            # The memory of each may serve the next.
            trainable[i] = trainable[i] + offsets.pop(i)
        losses, aux, self._pullback = self._linearize(trainable)
        num_tasks = 1 if task is not None else len(self._partition.tasks)
        self.losses = ops.stack(losses[:num_tasks])
        self._has_penalties = len(losses) > num_tasks
        if task is None:
            outputs, by_task, presence, state, total = aux
            # JAX returns dicts with sorted keys.
            by_task = {name: by_task[name] for name in self._partition.tasks}
            # Losses are 0 where there are no samples; penalties need not be.
            is_finite = ops.logical_and(ops.isfinite(total), batch.has_samples)
            self.outcome = Outcome(
                outputs, by_task, presence, state, total, is_finite
            )
            if mask is None:
                self.mask = presence
        self.shares = shares
        if backend.num_replicas() > 1:
            self._average()
        if draws is None and replay is not None:
            replay.note_end()

    def _average(self):
        """Replaces the losses here by their means over the replicas."""
        if self.shares is not None:
            self.losses = self.shares.mean(self.losses, self._task)
            return
        outcome = self.outcome
        self.shares = Shares(self.losses, outcome.presence, outcome.total)
        self.losses, self.mask = self.shares.losses, self.shares.mask
        outcome.is_finite = self.shares.is_finite

    def _linearize(self, trainable):
        """Runs the pass; returns losses, aux and the pullback by variable."""
        # Differentiate by what can matter: another head's variables cannot.
        wanted = list(range(len(trainable)))
        if self._task is not None:
            wanted = [
                i
                for i, reached in enumerate(self._partition.tasks_of)
                if self._task in reached
            ]
        position = {i: n for n, i in enumerate(wanted)}

        def function(chosen):
            point = list(trainable)
            for i, value in zip(wanted, chosen, strict=True):
                point[i] = value
            if self._task is None:
                return self._run_all(point)
            return self._run_one(point)

        chosen = [trainable[i] for i in wanted]
        if self._pushes:
            losses, aux, pull, push = backend.linearize_both_ways(
                function, chosen
            )

            def pushforward(tangents):
                return push({position[i]: t for i, t in tangents.items()})

            self._pushforward = pushforward
        else:
            losses, aux, pull = backend.linearize(function, chosen)

        def pullback(cotangents, indices, last=False):
            return pull(cotangents, [position[i] for i in indices], last)

        return losses, aux, pullback

    def _run_all(self, trainable):
        model, batch = self._model, self._batch
        with self._values.scope(trainable) as scope:
            outputs = model(batch.x, training=True)
            task_losses = model.compute_task_losses(
                batch.x, batch.y, outputs, batch.sample_weight, training=True
            )
            presence = model.find_presence(
                batch.y, outputs, batch.sample_weight
            )
            penalties = [ops.sum(penalty) for penalty in model.losses]
        if self._draws is None:
            self._draws = scope.draws
        return self._summed_up(
            outputs,
            task_losses,
            presence,
            penalties,
            self._values.state_after(scope),
        )

    def _summed_up(self, outputs, task_losses, presence, penalties, state):
        """Returns what is differentiated, and what else the pass leaves."""
        losses = list(self._model.task_losses.weigh(task_losses))
        if penalties:
            losses.append(sum(penalties[1:], penalties[0]))
        total = sum(losses[1:], losses[0])
        return losses, (outputs, task_losses, presence, state, total)

    def _run_one(self, trainable):
        """The loss of one task, from as little of the model as will do.

        Without the other heads, layers may draw other random numbers than in
        the clean pass: those that several tasks call, and on torch those that
        draw from the global generator. Then the whole model is run.
        """
        task = self._partition.tasks[self._task]
        if self._replay is None:
            # Other random numbers are wanted, and any will do.
            return [self._loss_of_one(task, trainable, alone=True)[0]], None
        if task not in self._model.entangled_tasks:
            loss, draws = self._loss_of_one(task, trainable, alone=True)
            if self._replay.is_at_end() and all(
                count == self._draws.get(generator)
                for generator, count in draws.items()
            ):
                return [loss], None
            self._model.entangled_tasks.add(task)
        with self._replay():
            loss, _ = self._loss_of_one(task, trainable, alone=False)
        return [loss], None

    def _loss_of_one(self, task, trainable, alone):
        batch = self._batch
        with self._values.scope(trainable) as scope:
            loss = self._model.single_task_loss(
                task, batch.x, batch.y, batch.sample_weight, alone
            )
        return loss, scope.draws

    # ------------------------------------------------------- gradients

    def _pull(self, cotangents, wanted, last=False):
        """Gradients by variable index, without the loss scale."""
        if not wanted:
            return []
        gradients = self._collected(
            self._pullback(self._seeds(cotangents), wanted, last)
        )
        for i, gradient in zip(wanted, gradients, strict=True):
            self.layouts.setdefault(i, backend.layout_of(gradient))
        return gradients

    def _seeds(self, cotangents):
        """What is pulled back for cotangents of the losses, by their index."""
        if self.shares is not None:
            cotangents = {
                k: cotangent
                * ops.cast(self.shares.of(k, self._task), cotangent.dtype)
                for k, cotangent in cotangents.items()
            }
        return self._scaled(cotangents)

    def _collected(self, gradients):
        """Gradients of the whole batch, from what was pulled back here."""
        return backend.sum_over_replicas(self._unscaled(gradients))

    def _scaled(self, cotangents):
        if self._scale is None:
            return cotangents
        return {
            k: cotangent * ops.cast(self._scale, cotangent.dtype)
            for k, cotangent in cotangents.items()
        }

    def _unscaled(self, gradients):
        if self._scale is None:
            return gradients
        return [
            gradient / ops.cast(self._scale, gradient.dtype)
            for gradient in gradients
        ]

    def task_gradients(self, weights, last=False, stacked=False):
        num_tasks = len(self._partition.tasks)
        last = last and not self._has_more
        own = []

        def rows():
            for k in range(num_tasks):
                is_last = last and k == num_tasks - 1
                row, own_gradients = self._rows_of(k, weights[k], k, is_last)
                own.append(own_gradients)
                yield row

        jacobian = Jacobian.gather(rows(), num_tasks, self._dtype, stacked)
        return TaskGradients(jacobian, own)

    def task_gramian(self, weights, switches=None):
        # Row `k` is how fast the losses rise along the gradient of loss `k`.
        partition = self._partition
        num_tasks = len(partition.tasks)
        rows, seed = [], weights[0]
        for k in range(num_tasks):
            reached = [
                i for i in partition.shared if k in partition.tasks_of[i]
            ]
            gradients = self._pull({k: seed}, reached)
            if switches is not None:
                by_index = dict(zip(partition.shared, switches, strict=True))
                gradients = [
                    ops.where(by_index[i], gradient, ops.zeros_like(gradient))
                    for i, gradient in zip(reached, gradients, strict=True)
                ]
            slopes = self._slopes_along(gradients, reached)
            rows.append(slopes * weights)
            if k + 1 < num_tasks:
                # Not before this gradient has served: one lives at a time.
                seed = backend.after(weights[k + 1], slopes)
        gramian = ops.stack(rows)
        return (gramian + ops.transpose(gramian)) / 2

    def _slopes_along(self, direction, indices):
        """How fast each loss rises along a direction."""
        if not indices:
            return ops.zeros_like(self.losses)
        norm = None
        if self._scale is not None:
            # A gradient may be too small for the numbers that are computed
            # with; slopes along its unit vector are not.
            norm = ops.sqrt(backend.squared_norm(direction))
            divisor = ops.where(norm > 0, norm, 1)
            direction = [part / divisor for part in direction]
        slopes = self._pushforward(dict(zip(indices, direction, strict=True)))
        slopes = self.averaged(slopes[: len(self._partition.tasks)])
        return slopes if norm is None else slopes * norm

    def task_gradient(self, weight):
        return self._rows_of(0, weight, self._task, last=True)

    def row(self, task, weight):
        """Like `task_gradient`, of one of the tasks in a pass of all."""
        return self._rows_of(task, weight, task, last=False)

    def _rows_of(self, loss, weight, task, last):
        partition = self._partition
        reached = [i for i in partition.shared if task in partition.tasks_of[i]]
        wanted = [*reached, *partition.own[task]]
        gradients = dict(
            zip(wanted, self._pull({loss: weight}, wanted, last), strict=True)
        )
        row = [
            gradients[i]
            if i in gradients
            else ops.zeros_like(self._values.trainable[i])
            for i in partition.shared
        ]
        return row, [gradients[i] for i in partition.own[task]]

    def total(self, shared_weights, own_weights, penalties=True, last=False):
        partition = self._partition
        if partition.overwritten or (
            self._has_penalties and (partition.idle or not penalties)
        ):
            # Their gradient is still to come.
            last = False
        num_tasks = len(partition.tasks)

        def cotangents(weights):
            chosen = {k: weights[k] for k in range(num_tasks)}
            if penalties and self._has_penalties:
                chosen[num_tasks] = ops.ones((), dtype=self.losses.dtype)
            return chosen

        own = [i for indices in partition.own for i in indices]
        if shared_weights is own_weights:
            wanted = [*partition.shared, *own]
            pulled = self._pull(cotangents(own_weights), wanted, last)
        else:
            wanted, pulled = [], []
            for weights, places in shared_weights:
                of_class = [partition.shared[place] for place in places]
                pulled += self._pull(cotangents(weights), of_class)
                wanted += of_class
            pulled += self._pull(cotangents(own_weights), own, last)
            wanted += own
        by_index = dict(zip(wanted, pulled, strict=True))
        return Update(
            [by_index[i] for i in partition.shared],
            [[by_index[i] for i in indices] for indices in partition.own],
            ops.isfinite(self.losses),
            with_penalties=penalties,
        )

    def penalty_gradients(self, wanted):
        """Gradients of regularizers and `add_loss` terms, or `None`."""
        if not self._has_penalties:
            return None
        penalty = {
            len(self._partition.tasks): ops.ones((), dtype=self.losses.dtype)
        }
        return self._pull(penalty, wanted)

    def overwrites(self, weights):
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
        wanted = self._partition.overwritten
        if not wanted:
            return {}
        num_tasks = len(self._partition.tasks)
        cotangents = {k: weights[k] for k in range(num_tasks)}
        if self._has_penalties:
            cotangents[num_tasks] = ops.ones((), self.losses.dtype)
        values = self._pullback(self._scaled(cotangents), wanted, last=True)
        count = backend.num_replicas()
        if count > 1:
            values = [v / count for v in backend.sum_over_replicas(values)]
        return dict(zip(wanted, values, strict=True))

    @property
    def _has_more(self):
        """Whether more is pulled back once the task gradients are there."""
        return self._has_penalties or bool(self._partition.overwritten)

    @property
    def _dtype(self):
        trainable = self._values.trainable
        return trainable[0].dtype if trainable else "float32"

    def own_gradients(self, weights):
        partition = self._partition
        own = [i for indices in partition.own for i in indices]
        chosen = {k: weights[k] for k in range(len(partition.tasks))}
        by_index = dict(zip(own, self._pull(chosen, own), strict=True))
        return [[by_index[i] for i in indices] for indices in partition.own]

    # ---------------------------------------------------- other passes

    def part(self, index, count):
        with self._replay():
            return Pass(
                self._model,
                self._batch.part(index, count),
                self._values,
                scale=self._scale,
                replay=self._replay,
                draws=self._draws,
            )

    def values_of(self, task=None):
        return self._values.values_of(task)

    def perturbs(self, flatness, task=None):
        return self._values.perturbs(flatness, task)

    def near(self, offsets, task=None, draw=None):
        values, replay = self._values, self._replay
        offsets = self._by_index(offsets, task)
        if draw is not None:
            values, replay = values.with_other_seeds(draw), None
        with contextlib.nullcontext() if replay is None else replay():
            return Pass(
                self._model,
                self._batch,
                values,
                scale=self._scale,
                replay=replay,
                offsets=offsets,
                task=task,
                mask=self.mask,
                draws=self._draws,
                shares=self.shares,
            )

    def on(self, x, y, sample_weight, offsets):
        with self._replay():
            return Pass(
                self._model,
                Batch(x, y, sample_weight),
                self._values,
                scale=self._scale,
                replay=self._replay,
                offsets=self._by_index(offsets),
                draws=self._draws,
            )

    def _by_index(self, offsets, task=None):
        in_order = self._values.in_order(task)
        return {
            i: offset
            for i, offset in zip(in_order, offsets, strict=True)
            if offset is not None
        }

    def losses_near(self, offsets):
        trainable = list(self._values.trainable)
        for i, offset in self._by_index(offsets).items():
            trainable[i] = trainable[i] + offset
        with self._replay():
            losses = losses_at(
                self._model, self._batch, self._values, trainable
            )
        return self.averaged(losses)

    def averaged(self, losses):
        """Means over the replicas of task losses `[K]` computed here."""
        return losses if self.shares is None else self.shares.mean(losses)

    def release(self):
        self._pullback = self._pushforward = None
