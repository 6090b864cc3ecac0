"""What of a step reaches the optimizer and the variables."""

from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.partition import Partition
from keras_mtl.gradients.passes import Update
from keras_mtl.training.passes import FirstPass
from keras_mtl.training.values import Values
from keras_mtl.typing import Tensor


def loss_scale(optimizer: Any) -> Any:
    """The factor by which the optimizer wants losses scaled, or `None`."""
    if (
        isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        or optimizer.loss_scale_factor is not None
    ):
        return optimizer.scale_loss(ops.ones((), dtype="float32"))
    return None


def full_gradients(
    partition: Partition, values: Values, clean: FirstPass, update: Update
) -> list[Tensor]:
    """One gradient per trainable variable of the model."""
    gradients = update.by_index(partition)
    # Regularizers and `add_loss` terms belong to no task.
    wanted = list(range(len(gradients)))
    if update.with_penalties:
        wanted = partition.idle
    penalties = clean.penalty_gradients(wanted)
    if penalties is not None:
        for i, penalty in zip(wanted, penalties, strict=True):
            gradient = gradients[i]
            gradients[i] = penalty if gradient is None else gradient + penalty
    return [
        ops.zeros_like(value) if gradient is None else gradient
        for gradient, value in zip(gradients, values.trainable, strict=True)
    ]


def commit(
    model: Any,
    gradients: list[Tensor],
    overwritten: dict[int, Tensor],
    assignments: list[tuple[keras.Variable, Tensor]],
    clean: FirstPass,
    update: Update,
) -> Any:
    """Hands the update and all new state over, if they are finite.

    Args:
        model: The model.
        gradients: One gradient per trainable variable.
        overwritten: By index of the variable, the values that the optimizer
            is to assign in place of a gradient.
        assignments: Pairs of a variable and its new value.
        clean: The pass at the start of the step.
        update: The `Update`.

    Returns:
        Boolean scalar: they were.
    """
    plan = model.training_plan
    optimizer = model.optimizer
    variables = plan.partition.variables
    scale = loss_scale(optimizer)
    losses_finite = ops.logical_and(
        ops.all(update.finite), clean.outcome.is_finite
    )
    finite = backend.computed_once(
        ops.logical_and(losses_finite, backend.all_finite(gradients))
    )
    proceed, keep = finite, finite
    due = update.source.due
    if scale is not None:
        # The optimizer expects scaled gradients. Where it adapts the scale, a
        # gradient that overflowed is no failure: it skips the step itself,
        # which it must be able to see.
        factor = scale
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            losses_finite = backend.computed_once(
                ops.all(ops.isfinite(clean.losses))
            )
            factor = ops.where(finite, scale, float("nan"))
            proceed = losses_finite
        gradients = [
            gradient * ops.cast(factor, gradient.dtype)
            for gradient in gradients
        ]
    for i, value in overwritten.items():
        gradients[i] = value
    if plan.on_nonfinite == "ignore":
        proceed = keep = None
    succeeded = finite if proceed is None else proceed
    if due is not None:
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            # It adapts the scale to an overflow at once.
            due = ops.logical_or(due, ops.logical_not(finite))
        proceed = due if proceed is None else ops.logical_and(proceed, due)
    succeeds = backend.commit(
        optimizer,
        gradients,
        variables,
        assignments,
        proceed=proceed,
        keep=keep,
    )
    if succeeds:
        notes = plan.monitor.note_success()
    else:
        notes = plan.monitor.note(succeeded, tasks_at_fault(clean, update))
    backend.assign(notes)
    return succeeded


def tasks_at_fault(clean: FirstPass, update: Update) -> Tensor:
    """Bool tensor `[K]`: the tasks to name if the step is not finite.

    One loss that is not finite may spoil the weights, and with them the
    gradients, of all tasks; so the first of these counts in which any is not:
    losses, norms and losses nearby, gradients of the tasks' own variables.
    """
    finite = ops.isfinite(clean.losses)
    own = ops.stack(
        [
            backend.all_finite(gradients)
            if gradients
            else ops.ones((), dtype="bool")
            for gradients in update.own
        ]
    )
    for later in (update.finite, own):
        finite = ops.where(ops.all(finite), later, finite)
    return ops.logical_not(finite)
