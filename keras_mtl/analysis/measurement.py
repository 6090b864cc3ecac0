"""What is compiled to measure the sharpness of one task."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.analysis.fixed_batches import sum_over
from keras_mtl.flatness import TaskSAM
from keras_mtl.gradients.jacobian import wide_dtype
from keras_mtl.gradients.partition import Partition
from keras_mtl.solvers.top_eigenvalue import top_eigenvalue
from keras_mtl.training.values import Values
from keras_mtl.typing import Tensor


class Measurement:
    """Measures one task at the values that it is called with.

    A pure function: it assigns nothing and reads nothing but its arguments,
    so that it can be compiled, and changes nothing.

    Args:
        model: A compiled and built `MultiTaskModel`.
        partition: Its `Partition`.
        state_variables: Its non-trainable variables, without those of the
            strategy.
        chosen: Indices of the trainable variables to look along.
        training: Whether layers are in training mode.
        rho: Radii of the SAM gaps.
        adaptive_rho: Radii of the adaptive SAM gaps.
        iterations: The largest number of Hessian-vector products in a run of
            power iteration; 0 leaves it out.
        tolerance: The relative residual to stop at.
    """

    def __init__(
        self,
        model: Any,
        partition: Partition,
        state_variables: Sequence[keras.Variable],
        chosen: Sequence[int],
        training: bool,
        rho: Sequence[float],
        adaptive_rho: Sequence[float],
        iterations: int,
        tolerance: float,
    ):
        self.model = model
        self.partition = partition
        self.state_variables = list(state_variables)
        self.chosen = list(chosen)
        self.training = training
        self.iterations = iterations
        self.tolerance = tolerance
        # Of radius 1, multiplied with those that are asked for.
        self.radii = [
            (TaskSAM(rho=1.0, norm="joint", adaptive=adaptive), radii)
            for adaptive, radii in ((False, rho), (True, adaptive_rho))
        ]
        for perturbation, _ in self.radii:
            perturbation.build()

    def __call__(
        self, values: Any, stacks: Any, start: Any, task: Any
    ) -> list[Any]:
        """Returns loss, gaps, adaptive gaps, eigenvalue and residual.

        Args:
            values: Values of the trainable variables, then of the others.
            stacks: Data, as `stack_batches` returns them.
            start: What power iteration begins with: a tensor for each of the
                chosen variables.
            task: Tensor `[K]`, 1 for the task and 0 for the others.
        """
        variables = [*self.partition.variables, *self.state_variables]
        with keras.StatelessScope(list(zip(variables, values, strict=True))):
            at = Values(
                self.partition,
                self.state_variables,
                backend.Bypass(self.model, self.partition.variables),
            )
        at.trainable = [ops.stop_gradient(value) for value in at.trainable]
        landscape = _Landscape(self, at, stacks, task)
        results = [landscape.loss]
        for perturbation, radii in self.radii:
            results.append(landscape.gaps(perturbation, radii))
        if not self.iterations:
            return [*results, landscape.loss, landscape.loss]
        return [
            *results,
            *top_eigenvalue(
                landscape.hessian_product,
                start,
                self.iterations,
                self.tolerance,
            ),
        ]


class _Landscape:
    """The loss of one task as a function of the chosen variables.

    Args:
        measurement: What is measured.
        at: `Values` of the variables.
        stacks: Data.
        task: Tensor `[K]`, 1 for the task and 0 for the others.
    """

    def __init__(
        self, measurement: "Measurement", at: Any, stacks: Any, task: Tensor
    ):
        self.measurement = measurement
        self.at = at
        self.stacks = stacks
        self.task = task
        self.replay = backend.RandomReplay()
        self.point = [at.trainable[i] for i in measurement.chosen]
        self.dtype = wide_dtype(at.trainable[0].dtype)
        self.zero = ops.zeros((), self.dtype)
        self.zeros = [ops.zeros_like(value) for value in self.point]
        total, weight, *gradient = sum_over(
            stacks, self._gradient_on, [self.zero, self.zero, *self.zeros]
        )
        # NaN for a task that no sample has a label of.
        weight = ops.where(weight > 0, weight, float("nan"))
        self.scale = 1.0 / weight
        self.loss = total * self.scale
        self.gradient = self._scaled(gradient)

    def gaps(self, perturbation: Any, radii: Sequence[float]) -> Tensor:
        """By how much the loss rises a radius up along the gradient, `[R]`."""
        if not radii:
            return ops.zeros((0,), self.loss.dtype)
        factors = ops.convert_to_tensor(radii, dtype=self.loss.dtype)
        everything = [True] * len(self.point)

        def gap(index: Tensor) -> Tensor:
            steps = perturbation.perturb(
                self.point, self.gradient, everything, 0, 0, factors[index]
            )
            moved = [
                value + ops.cast(step, value.dtype)
                for value, step in zip(self.point, steps, strict=True)
            ]
            (total,) = sum_over(
                self.stacks,
                lambda batch: [self._loss(moved, batch)[0]],
                [self.zero],
            )
            return total * self.scale - self.loss

        def add(index: Tensor, found: Tensor) -> Tensor:
            place = ops.one_hot(index, len(radii), dtype=found.dtype)
            # No product: it would spread NaN to the others.
            return ops.where(place > 0, gap(index), found)

        return ops.fori_loop(0, len(radii), add, ops.zeros_like(factors))

    def hessian_product(self, direction: list[Tensor]) -> list[Tensor]:
        """The Hessian of the loss times a vector."""
        direction = [
            ops.cast(part, value.dtype)
            for part, value in zip(direction, self.point, strict=True)
        ]

        def on(batch: Any) -> list[Tensor]:
            return backend.hessian_product(
                lambda point: self._loss(point, batch)[0], self.point, direction
            )

        return self._scaled(sum_over(self.stacks, on, self.zeros))

    def _scaled(self, parts: list[Tensor]) -> list[Tensor]:
        return [ops.cast(part, self.scale.dtype) * self.scale for part in parts]

    def _gradient_on(self, batch: Any) -> list[Tensor]:
        def function(point: list[Tensor]) -> tuple[list[Tensor], Tensor]:
            loss, weight = self._loss(point, batch)
            return [loss], weight

        (loss,), weight, pullback = backend.linearize(function, self.point)
        one = ops.ones((), loss.dtype)
        indices = list(range(len(self.point)))
        return [loss, weight, *pullback({0: one}, indices, last=True)]

    def _loss(self, point: list[Tensor], batch: Any) -> tuple[Tensor, Tensor]:
        """Loss of the task on a batch times the batch's weight, and that."""
        measurement = self.measurement
        model, training = measurement.model, measurement.training
        x, y, sample_weight = batch
        trainable = list(self.at.trainable)
        for i, value in zip(measurement.chosen, point, strict=True):
            trainable[i] = value
        with self.replay(), self.at.scope(trainable):
            outputs = model(x, training=training)
            by_task = model.compute_task_losses(
                x, y, outputs, sample_weight, training=training
            )
            presence = model.find_presence(x, y, outputs, sample_weight)
        losses = ops.stack(
            [ops.cast(by_task[task], self.dtype) for task in model.tasks]
        )
        weights = ops.cast(ops.stack(model.batch_sizes(x)), self.dtype)
        if presence is not None:
            weights = weights * ops.cast(presence, self.dtype)
        is_chosen = self.task > 0
        weight = ops.sum(ops.where(is_chosen, weights, 0.0))
        # Another task's NaN does not matter.
        loss = ops.sum(ops.where(is_chosen, losses, 0.0))
        return weight * loss, weight
