"""TensorFlow: the step in the trainer, and a guarded commit."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from keras_mtl.backend import common
from keras_mtl.backend.tensorflow import num_replicas
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "TrainStepFrame",
    "assign",
    "commit",
]


def commit(
    optimizer: keras.optimizers.Optimizer,
    gradients: list[Tensor],
    variables: list[Variable],
    assignments: Sequence[tuple[Variable, Tensor]],
    *,
    proceed: Tensor | None = None,
    keep: Tensor | None = None,
) -> bool:
    if tf.distribute.has_strategy():
        _commit_on_replicas(
            optimizer, gradients, variables, assignments, proceed, keep
        )
        return False

    def update() -> None:
        optimizer.apply(gradients, variables)

    _only_if(proceed, update)
    _only_if(keep, lambda: assign(assignments))
    return False


def _commit_on_replicas(
    optimizer: keras.optimizers.Optimizer,
    gradients: list[Tensor],
    variables: list[Variable],
    assignments: Sequence[tuple[Variable, Tensor]],
    proceed: Tensor | None,
    keep: Tensor | None,
) -> None:
    """Like `commit`, without branches: replicas cannot meet in those."""
    touched = [*variables, *optimizer.variables]
    before = [tf.identity(variable.value) for variable in touched]
    # It adds up what the replicas give it, which is the same for all.
    count = num_replicas()
    optimizer.apply([gradient / count for gradient in gradients], variables)
    if proceed is not None:
        assign(
            [
                (variable, tf.where(proceed, variable.value, old))
                for variable, old in zip(touched, before, strict=True)
            ]
        )
    if keep is not None:
        assignments = [
            (variable, tf.where(keep, value, variable.value))
            for variable, value in assignments
        ]
    assign(assignments)


def assign(assignments: Sequence[tuple[Variable, Tensor]]) -> None:
    if not tf.distribute.has_strategy():
        for variable, value in assignments:
            variable.assign(value)
        return
    pairs = [
        (variable.value, tf.cast(value, variable.dtype))
        for variable, value in assignments
    ]
    # A variable that is not said how to merge cannot be assigned by one.
    variables = [variable for variable, _ in pairs]

    def update(strategy: Any, values: list[Tensor]) -> None:
        for variable, value in zip(variables, values, strict=True):
            strategy.extended.update(
                variable, lambda v, x: v.assign(x), args=(value,), group=False
            )

    context = tf.distribute.get_replica_context()
    context.merge_call(update, args=([value for _, value in pairs],))


def _only_if(condition: Tensor | None, action: Callable[[], None]) -> None:
    if condition is None:
        action()
        return

    def act() -> Tensor:
        action()
        return tf.constant(True)

    tf.cond(condition, act, lambda: tf.constant(False))


class _ReducesForKeras:
    """A `MultiWorkerMirroredStrategy` that reduces what Keras gives it.

    Args:
        strategy: The `tf.distribute.MultiWorkerMirroredStrategy`.
    """

    def __init__(self, strategy: Any):
        self._strategy = strategy

    @property  # type: ignore[misc]  # Of `object` it is no property.
    def __class__(self) -> type:
        # Keras gathers predictions of such strategies in their own way.
        return type(self._strategy)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def reduce(self, reduce_op: Any, value: Any, axis: int | None) -> Any:
        """Like `tf.distribute.Strategy.reduce`, with two of its errors less.

        Of a whole batch, Keras wants to know shapes and dtypes, to build the
        model by; it averages scalars, such as losses, along their axis 0.
        """
        if isinstance(value, (tuple, list, dict)):
            return tree.map_structure(self._spec, value)
        if self._spec(value).shape.rank == 0:
            axis = None
        return self._strategy.reduce(reduce_op, value, axis=axis)

    def _spec(self, value: Any) -> Any:
        if value is None:
            return None
        first = self._strategy.experimental_local_results(value)[0]
        return tf.TensorSpec(first.shape, first.dtype)


class TrainStepFrame(common.TrainStepFrame):
    """Runs the step where Keras's trainer expects `train_step`."""

    @property
    def distribute_strategy(self) -> Any:
        strategy = super().distribute_strategy
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return _ReducesForKeras(strategy)
        return strategy

    def train_step(self, data: Any) -> Any:
        if self.strategy is None:
            return super().train_step(data)
        return self.run_task_step(data)
