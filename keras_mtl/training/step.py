"""The training step, told once for all backends.

It reads as if it were eager and stateful. On JAX the backend's frame runs it
inside a stateless scope, on TensorFlow inside a `tf.function`.
"""

from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.changes import changes_to
from keras_mtl.gradients.changes import only_if
from keras_mtl.training.batch import Batch
from keras_mtl.training.commit import commit
from keras_mtl.training.commit import full_gradients
from keras_mtl.training.commit import loss_scale
from keras_mtl.training.passes import FirstPass
from keras_mtl.training.point import Point
from keras_mtl.training.replicas import mean_state
from keras_mtl.training.start import Start
from keras_mtl.training.values import Values
from keras_mtl.training.values import losses_at


def run_step(model: Any, data: Any) -> dict[str, Any]:
    """Makes one update of a `MultiTaskModel` and returns the logs.

    Args:
        model: A compiled and built model with a strategy.
        data: What the trainer's iterator gave.
    """
    batch = Batch(*keras.utils.unpack_x_y_sample_weight(data))
    with model.task_losses.reading_once(batch.y):
        return _run_step_on(model, batch)


def _run_step_on(model: Any, batch: Batch) -> dict[str, Any]:
    plan = model.training_plan
    strategy = plan.strategy
    values = Values(plan.partition, plan.state_variables, plan.bypass)
    if strategy.observes:
        values.keep_state()
    replay = backend.RandomReplay()
    point = Point(model, batch, values, replay, loss_scale(model.optimizer))
    clean: FirstPass = strategy.kind.start(Start(point, plan.split))
    model.random_state.draws_globally |= replay.has_drawn()
    # The strategy assigns as it likes; what it assigned is kept only if the
    # step is. Inside, only what is listed can be read.
    readable = [
        *strategy.variables,
        *strategy.balancer.data_variables,
        *model.task_losses.weight_variables,
    ]
    with changes_to(readable) as changes:
        update = strategy.compute_update(clean)
    gradients = full_gradients(plan.partition, values, clean, update)
    overwritten = clean.overwrites(update.weights)
    clean.release()
    outcome, due = clean.outcome, update.source.due
    if update.record is not None:
        changes += model.task_statistics.add(update)
    if due is not None:
        changes = only_if(due, changes, strategy.accumulation.variables)
    assignments = [*mean_state(values.assignments(outcome.state)), *changes]
    succeeded = commit(
        model, gradients, overwritten, assignments, clean, update
    )
    if strategy.observes:
        observe(model, point, clean, succeeded)
    model.track_losses(batch.x, outcome)
    return model.compute_metrics(
        batch.x, batch.y, outcome.outputs, sample_weight=batch.sample_weight
    )


def observe(model: Any, point: Point, clean: FirstPass, succeeded: Any) -> None:
    """Shows the strategy what the update did to the losses."""
    strategy, values = model.training_plan.strategy, point.values
    trainable = [
        ops.convert_to_tensor(variable.value)
        for variable in values.partition.variables
    ]
    with point.replay():
        new_losses = losses_at(model, point.batch, values, trainable)
    new_losses = clean.averaged(new_losses)
    # Losses of absent tasks are 0 before and after.
    succeeded = ops.logical_and(succeeded, ops.all(ops.isfinite(new_losses)))
    with changes_to(strategy.variables) as changes:
        strategy.observe(clean.losses, new_losses, clean.mask)
    backend.assign(only_if(succeeded, changes, ()))
