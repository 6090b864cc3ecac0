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
        sharing: The `Sharing`: which tasks reach which shared variables.
    """

    def __init__(
        self,
        flatness: Any,
        balancer: Any,
        clean: ForwardPass,
        weights: Tensor,
        iterations: Tensor,
        sharing: Any,
    ):
        self._flatness = flatness
        self._balancer = balancer
        self._clean = clean
        self._weights = weights
        self._iterations = iterations
        self._sharing = sharing
        #: For each shared variable: several present tasks reach it.
        self._switches = sharing.switches(clean.mask)

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
        every_own = [gradient for task in own for gradient in task]
        offsets = self._offsets(shared, every_own)
        return self._clean.near(offsets, draw=self._draw())

    def _offsets(
        self,
        shared: Sequence[Tensor],
        own: Sequence[Tensor],
        task: int | None = None,
        factor: Tensor | None = None,
    ) -> list[Tensor | None]:
        """Perturbations along gradients, or along other directions.

        A shared variable that one present task reaches is, for this step,
        that task's own, as where it is merged.

        Args:
            shared: One tensor per shared variable.
            own: One tensor per own variable.
            task: The task that they are of, or `None` for all.
            factor: Optional scalar by which the radii are multiplied.
        """
        flatness, switches = self._flatness, self._switches
        values = self._clean.values_of(task)
        selected = flatness.selected(self._clean.variables_of(task))
        count = len(shared)

        def perturbed(
            gradients: list[Tensor], num_shared: int
        ) -> list[Tensor | None]:
            return flatness.perturb(
                values[: len(gradients)],
                gradients,
                selected[: len(gradients)],
                num_shared,
                self._iterations,
                factor,
            )

        if switches is None or flatness.norm == "joint":
            return perturbed([*shared, *own], count)
        nothing = [ops.zeros_like(gradient) for gradient in shared]
        reached = self._sharing.reached_by(task)
        together = perturbed(_chosen(switches, shared, nothing), count)
        alone = perturbed(
            [
                *(
                    ops.where(switch, zeros, gradient) if reaches else zeros
                    for switch, gradient, zeros, reaches in zip(
                        switches, shared, nothing, reached, strict=True
                    )
                ),
                *own,
            ],
            0,
        )
        return [
            *_chosen(switches, together, alone[:count]),
            *alone[count:],
        ]

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
        measured = gradients.shared
        if self._flatness.scaling is not None and self._switches is not None:
            measured = measured.switched(self._switches)
        factors = self._flatness.radius_factors(measured, self._clean.mask)
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
        clean = self._clean
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
                    self._offsets(row, own_direction, k, factor),
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


def _chosen(
    switches: Sequence[Tensor],
    together: Sequence[Tensor | None],
    alone: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Of two tensors for each variable, the one that its switch tells."""
    return [
        None if one is None else ops.where(switch, one, other)
        for switch, one, other in zip(switches, together, alone, strict=True)
    ]
