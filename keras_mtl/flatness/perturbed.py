"""Updates from task gradients at the weights and near them."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_mtl.flatness.parts import Parts
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import TaskGradients
from keras_mtl.gradients.passes import Update
from keras_mtl.gradients.passes import finite_tasks
from keras_mtl.typing import Tensor


class Perturbed(UpdateKind):
    """Clean gradients, and what perturbed ones add to them.

    Args:
        flatness: Says where the gradients are taken again.
        parts: The other parts of the strategy.
        by_task: Whether each task has a point of its own.
    """

    def __init__(self, flatness: Any, parts: Parts, by_task: bool):
        self.flatness = flatness
        self.parts = parts
        self.looks_by_task = by_task
        self.branches = flatness.interval > 1

    def __call__(self, clean: ForwardPass, weights: Tensor) -> Update:
        flatness, parts = self.flatness, self.parts
        iterations = parts.iterations()
        near = parts.near(flatness, clean, weights)
        gradients = clean.task_gradients(weights, last=True)
        parts.recorder.rows("loss", gradients.shared)
        due = flatness.is_due(iterations)
        sharp, sharp_losses = if_due(
            due,
            lambda: flatness.gradients_near(near, gradients),
            gradients,
            clean.losses,
        )
        finite = ops.logical_and(
            finite_tasks(clean.losses, gradients.shared),
            finite_tasks(sharp_losses, sharp.shared),
        )
        own = parts.join.own(gradients.own, sharp.own)
        flat_mask = self._flat_mask(clean, iterations, due)
        shared = parts.join(gradients.shared, sharp.shared, clean, flat_mask)
        return Update(shared, own, finite)

    def _flat_mask(
        self, clean: ForwardPass, iterations: Tensor, due: Tensor | None
    ) -> Tensor:
        """Which tasks have a flat part, `[K]`."""
        # With a radius of 0 the flat part is rounding noise, which
        # normalising aggregators would blow up: all tasks are absent from it.
        active = self.flatness.is_active(iterations)
        if due is not None:
            active = ops.logical_and(active, due)
        present = clean.mask
        if present is None:
            present = ops.ones_like(clean.losses)
        return present * ops.cast(active, present.dtype)


def if_due(
    due: Tensor | None,
    sharpened: Callable[[], tuple[TaskGradients, Tensor]],
    clean: TaskGradients,
    losses: Tensor,
) -> tuple[TaskGradients, Tensor]:
    """Returns gradients and losses near the weights, or those at them.

    Args:
        due: Bool scalar: they are wanted. `None` if they always are.
        sharpened: Returns those near the weights.
        clean: The gradients at the weights.
        losses: The losses there.
    """
    if due is None:
        return sharpened()
    num_shared = clean.shared.num_variables
    # Cut before the branches: a row that one of them cuts is kept, and is out
    # of reach for the other.
    unperturbed = _flatten(clean)

    def perturbed() -> list[Tensor]:
        sharp, sharp_losses = sharpened()
        return [sharp_losses, *_flatten(sharp)]

    def plain() -> list[Tensor]:
        # A new tensor: branches must not return their own inputs.
        return [losses * 1, *unperturbed]

    losses_there, *flat = ops.cond(due, perturbed, plain)
    rows, own = [], []
    for of_task in clean.own:
        rows.append(flat[:num_shared])
        own.append(flat[num_shared : num_shared + len(of_task)])
        flat = flat[num_shared + len(of_task) :]
    shared = Jacobian(rows=rows, dtype=clean.shared.dtype)
    return TaskGradients(shared, own), losses_there


def _flatten(gradients: TaskGradients) -> list[Tensor]:
    return [
        gradient
        for row, own in zip(gradients.shared.rows, gradients.own, strict=True)
        for gradient in (*row, *own)
    ]
