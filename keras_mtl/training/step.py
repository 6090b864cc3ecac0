"""The training step, told once for all backends.

It reads as if it were eager and stateful. On JAX the backend's frame runs it
inside a stateless scope, on TensorFlow inside a `tf.function`.
"""

import contextlib

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.training.batch import Batch
from keras_mtl.training.forward import Pass
from keras_mtl.training.replicas import mean_state
from keras_mtl.training.representation import RepresentationPass
from keras_mtl.training.values import Values
from keras_mtl.training.values import losses_at


def run_step(model, data):
    """Makes one update of a `MultiTaskModel` and returns the logs.

    Args:
        model: A compiled and built model with a strategy.
        data: What the trainer's iterator gave.
    """
    batch = Batch(*keras.utils.unpack_x_y_sample_weight(data))
    with model.task_losses.look_at(batch.y):
        return _run_step_on(model, batch)


def _run_step_on(model, batch, settled=False):
    plan = model.training_plan
    strategy = plan.strategy
    values = Values(plan.partition, plan.state_variables, plan.bypass)
    if strategy.observes:
        values.keep_state()
    # The strategy assigns as it likes; what it assigned is kept only if the
    # step is.
    replay = backend.RandomReplay()
    settings = {
        "scale": loss_scale(model.optimizer),
        "replay": replay,
        "offsets": start_offsets(strategy, values),
        "pushes": strategy.memory == "low" and not strategy.aggregator.linear,
    }
    clean: Pass
    if plan.split is None:
        clean = Pass(model, batch, values, **settings)
    else:
        clean = RepresentationPass(model, batch, values, plan.split, **settings)
    model.random_state.draws_globally |= replay.has_drawn()
    # Inside, only what is listed can be read.
    readable = [
        *strategy.variables,
        *strategy.balancer.data_variables,
        *model.task_losses.weight_variables,
    ]
    with changes_to(readable) as changes:
        update = strategy.compute_update(clean)
    if not settled and backend.take_layouts(
        plan.partition.variables,
        clean.layouts,
        lambda: [*model.optimizer.variables, *strategy.variables],
    ):
        # Made again, so that its sums are in the order of all later steps:
        # training goes on from a file as if there had been none.
        replay.rewind()
        clean.release()
        return _run_step_on(model, batch, settled=True)
    means = update.accumulated
    gradients = full_gradients(plan.partition, values, clean, update)
    overwritten = clean.overwrites(update.weights)
    clean.release()
    outcome = clean.outcome
    if update.seen is not None:
        changes += model.task_statistics.note(means or clean, update)
    if means is not None:
        changes = only_if(means.due, changes, strategy.accumulation.variables)
    assignments = [*mean_state(values.assignments(outcome.state)), *changes]
    succeeded = commit(
        model, gradients, overwritten, assignments, clean, update
    )
    if strategy.observes:
        observe(model, batch, values, clean, replay, succeeded)
    model.track_losses(batch.x, outcome)
    return model.compute_metrics(
        batch.x, batch.y, outcome.outputs, sample_weight=batch.sample_weight
    )


@contextlib.contextmanager
def changes_to(variables):
    """Collects assignments to variables instead of making them.

    Yields:
        A list that holds, after the context, pairs of a variable that was
        assigned to and its value.
    """
    mapping = [(v, ops.convert_to_tensor(v.value)) for v in variables]
    changes: list[tuple] = []
    with keras.StatelessScope(mapping) as scope:
        before = [scope.get_current_value(v) for v in variables]
        yield changes
    for variable, old in zip(variables, before, strict=True):
        value = scope.get_current_value(variable)
        if value is not old:
            changes.append((variable, value))


def only_if(condition, changes, exceptions):
    """Makes changes of variables depend on a condition, but for some."""
    excepted = {id(variable) for variable in exceptions}
    return [
        (variable, value)
        if id(variable) in excepted
        else (
            variable,
            ops.where(condition, value, ops.convert_to_tensor(variable.value)),
        )
        for variable, value in changes
    ]


def start_offsets(strategy, values):
    """Where the first pass is made, by index of the variable, or `None`."""
    offsets = strategy.offsets(values)
    if offsets is None:
        return None
    return {
        i: offset
        for i, offset in zip(values.in_order(), offsets, strict=True)
        if offset is not None
    }


def loss_scale(optimizer):
    """The factor by which the optimizer wants losses scaled, or `None`."""
    if (
        isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        or optimizer.loss_scale_factor is not None
    ):
        return optimizer.scale_loss(ops.ones((), dtype="float32"))
    return None


def full_gradients(partition, values, clean, update):
    """One gradient per trainable variable of the model."""
    gradients = update.by_index(partition)
    # Regularizers and `add_loss` terms belong to no task.
    wanted = range(len(gradients))
    if update.with_penalties:
        wanted = partition.idle
    penalties = clean.penalty_gradients(list(wanted))
    if penalties is not None:
        for i, penalty in zip(wanted, penalties, strict=True):
            gradient = gradients[i]
            gradients[i] = penalty if gradient is None else gradient + penalty
    return [
        ops.zeros_like(value) if gradient is None else gradient
        for gradient, value in zip(gradients, values.trainable, strict=True)
    ]


def commit(model, gradients, overwritten, assignments, clean, update):
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
    due = None if update.accumulated is None else update.accumulated.due
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


def tasks_at_fault(clean, update):
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


def observe(model, batch, values, clean, replay, succeeded):
    """Shows the strategy what the update did to the losses."""
    strategy = model.training_plan.strategy
    with replay():
        new_losses = losses_at(
            model,
            batch,
            values,
            [
                ops.convert_to_tensor(variable.value)
                for variable in values.partition.variables
            ],
        )
    new_losses = clean.averaged(new_losses)
    # Losses of absent tasks are 0 before and after.
    succeeded = ops.logical_and(succeeded, ops.all(ops.isfinite(new_losses)))
    with changes_to(strategy.variables) as changes:
        strategy.observe(clean.losses, new_losses, clean.mask)
    backend.assign(only_if(succeeded, changes, ()))
