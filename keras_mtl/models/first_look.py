"""A look at a batch before the first step of a plan."""

from collections.abc import Callable
from typing import Any

import keras

from keras_mtl import backend
from keras_mtl.training.batch import Batch
from keras_mtl.training.step_check import check_step


def looking(model: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a train function that looks at a batch before the first step.

    It settles by the batch what the plan in use must know, and checks it.

    Args:
        model: The `MultiTaskModel`.
        function: What its trainer has made; it takes an iterator, and perhaps
            the state before it.
    """
    in_use = model.strategy_in_use

    def run(*arguments: Any) -> Any:
        if in_use.is_looked_at or (
            in_use.plan is not None and not model.checks_first_batch
        ):
            return function(*arguments)
        *state, iterator = arguments
        data, stream = backend.peek(iterator, model.steps_per_execution)
        model.before_look(*state)
        before = in_use.plan
        _look_at(model, data)
        state = model.after_look()
        if in_use.plan is before:
            return function(*state, stream)
        model.make_train_function(force=True)
        return model.train_function(*state, stream)

    return run


def _look_at(model: Any, data: Any) -> None:
    in_use = model.strategy_in_use
    batch = Batch(
        *keras.utils.unpack_x_y_sample_weight(
            backend.local_tensors(model, data)
        )
    )
    build_on(model, batch.x)
    in_use.settle()
    if not model.checks_first_batch:
        return
    if model.task_structure.correct_reach(batch):
        in_use.settle(anew=True)
    if check_step(model, batch):
        in_use.note_look()


def build_on(model: Any, x: Any) -> None:
    """Builds a model by inputs, and notes what they are like."""
    if not model.built:
        with backend.build_scope(model), keras.StatelessScope():
            model(x)
    model.task_structure.note_inputs(x)
