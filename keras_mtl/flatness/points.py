"""Task gradients taken again near the current weights."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import TaskGradients
from keras_mtl.typing import Tensor


class Nearby:
    """The perturbed passes of one step.

    Args:
        flatness: A `keras_mtl.flatness.Flatness`.
        balancer: A `keras_mtl.balancers.Balancer`.
        clean: The pass at the current weights.
        weights: Tensor `[K]` of task weights in the clean pass.
        iterations: Number of steps made so far, for schedules.
    """

    def __init__(
        self,
        flatness: Any,
        balancer: Any,
        clean: ForwardPass,
        weights: Tensor,
        iterations: Tensor,
    ):
        self._flatness = flatness
        self._balancer = balancer
        self._clean = clean
        self._weights = weights
        self._iterations = iterations

    def _draw(self, task: int = 0) -> int | None:
        """Which random numbers the perturbed pass of a task sees."""
        return task + 1 if self._flatness.random_numbers == "new" else None

    def weights_at(self, losses: Tensor) -> Tensor:
        """Weights for perturbed losses.

        A balancer that is a function of each task's own loss is applied to
        the perturbed loss: the step then is SAM of the balanced loss. Others
        keep the weights of the clean pass, and their state moves once.
        """
        if self._balancer.elementwise:
            return self._balancer(losses, self._clean.mask)
        return self._weights

    def of_all_tasks(
        self, shared: list[Tensor], own: list[list[Tensor]]
    ) -> ForwardPass:
        """The pass at the worst case of the summed loss.

        Args:
            shared: Its gradient by the shared variables.
            own: By the own variables of each task.
        """
        clean = self._clean
        offsets = self._flatness.perturb(
            clean.values_of(),
            [*shared, *(gradient for task in own for gradient in task)],
            self._flatness.selected(clean.variables_of()),
            len(shared),
            self._iterations,
        )
        return clean.near(offsets, draw=self._draw())

    def global_gradients(
        self, gradients: TaskGradients
    ) -> tuple[TaskGradients, Tensor]:
        """Task gradients and losses at one point for all tasks."""
        shared = gradients.shared.combine(ops.ones_like(self._weights))
        near = self.of_all_tasks(shared, gradients.own)
        weights = self.weights_at(near.losses)
        return near.task_gradients(weights, last=True), near.losses

    def task_gradients(
        self, gradients: TaskGradients
    ) -> tuple[TaskGradients, Tensor]:
        """Task gradients and losses, at a point of its own for each task.

        Args:
            gradients: The clean gradients, along which the tasks move.
        """
        factors = self._flatness.radius_factors(
            gradients.shared, self._clean.mask
        )
        return self.along(
            lambda k: gradients.shared.rows[k], gradients.own, factors
        )

    def along(
        self,
        direction: Callable[[int], Sequence[Tensor]],
        own: list[list[Tensor]],
        factors: Tensor | None = None,
    ) -> tuple[TaskGradients, Tensor]:
        """Task gradients and losses at points in given directions.

        Args:
            direction: Function from the index of a task to one tensor per
                shared variable.
            own: Directions of the own variables of each task.
            factors: Optional tensor `[K]` of multiples of the radius.
        """
        clean, flatness = self._clean, self._flatness
        own_gradients, losses = [], []

        def rows() -> Iterator[list[Tensor]]:
            end = None
            for k, own_direction in enumerate(own):
                factor = None if factors is None else factors[k]
                if end is not None:
                    # One pass at a time: what it needs is freed after it.
                    if factor is None:
                        factor = ops.ones((), dtype=self._weights.dtype)
                    factor = backend.after(factor, end)
                row = direction(k)
                near = clean.near(
                    # Not held here, so that its memory serves the pass.
                    flatness.perturb(
                        clean.values_of(k),
                        [*row, *own_direction],
                        flatness.selected(clean.variables_of(k)),
                        len(row),
                        self._iterations,
                        factor,
                    ),
                    task=k,
                    draw=self._draw(k),
                )
                weight = self.weights_at(
                    ops.broadcast_to(near.losses, self._weights.shape)
                )[k]
                row, of_own = near.task_gradient(weight)
                own_gradients.append(of_own)
                losses.append(near.losses[0])
                end = backend.end_of_pass([*row, *of_own])
                yield row

        values = clean.values_of()
        jacobian = Jacobian.gather(
            rows(), len(own), values[0].dtype if values else "float32"
        )
        return TaskGradients(jacobian, own_gradients), ops.stack(losses)
