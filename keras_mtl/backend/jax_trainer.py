"""JAX: the step inside a stateless frame."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.backend import common
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "TrainStepFrame",
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
    slots = list(optimizer.variables)
    touched = [*variables, *slots]
    before = [variable.value for variable in touched]
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # Its `apply` assigns inside `ops.cond`, which cannot be traced; the
        # stateless form takes the full list of variables it was built with.
        after = optimizer.stateless_apply(
            before[len(variables) :], gradients, before[: len(variables)]
        )
        after = [*after[0], *after[1]]
    else:
        optimizer.apply(gradients, variables)
        after = [variable.value for variable in touched]
    for variable, old, new in zip(touched, before, after, strict=True):
        variable.assign(
            new if proceed is None else ops.where(proceed, new, old)
        )
    for variable, value in assignments:
        if keep is not None:
            value = ops.where(keep, value, variable.value)
        variable.assign(value)
    return False


class TrainStepFrame(common.TrainStepFrame):
    """Runs a stateful step inside the stateless frame of Keras's trainer."""

    # Keras's.
    train_function: Any
    test_function: Any
    predict_function: Any

    #: Whether the last step failed and gave the state back.
    _has_given_back = False

    def jax_state_sync(self) -> None:
        # What Keras remembers after a failed step is of a call before, after
        # which the model may have been compiled anew or got other weights.
        if not self._has_given_back:
            super().jax_state_sync()

    def make_train_function(self, force: bool = False) -> None:
        before = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            self.train_function = self._restoring(self.train_function)

    def make_test_function(self, force: bool = False) -> None:
        before = self.test_function
        super().make_test_function(force)
        if self.test_function is not before:
            self.test_function = self._restoring(self.test_function)

    def make_predict_function(self, force: bool = False) -> None:
        before = self.predict_function
        super().make_predict_function(force)
        if self.predict_function is not before:
            self.predict_function = self._restoring(self.predict_function)

    def _restoring(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A step function that gives the state back where it fails.

        The trainer empties the model's variables while it holds their values;
        after an error in the first step the model would be lost with them.
        """

        def run(state: Any, iterator: Any) -> Any:
            done = False
            try:
                result = function(state, iterator)
                done = True
            finally:
                self._has_given_back = not done
                if not done:
                    self._put_back(state)
            return result

        return run

    def before_look(self, *state: Any) -> None:
        self._has_given_back = True
        (groups,) = state
        self._put_back(groups)

    def after_look(self) -> list[Any]:
        self._has_given_back = False
        return [
            tuple([v.value for v in group] for group in self._state_groups())
        ]

    def _put_back(self, state: tuple[list[Tensor], ...]) -> None:
        # Evaluation has no optimizer, prediction no metrics either.
        groups = (
            self._state_groups()
            if len(state) == 4
            else (
                self.trainable_variables,
                self.non_trainable_variables,
                self.metrics_variables,
            )[: len(state)]
        )
        for variables, values in zip(groups, state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                # A step that failed while it ran has used its inputs up.
                if not value.is_deleted():
                    variable.assign(value)

    def _state_groups(self) -> tuple[list[Variable], ...]:
        """The variables of the four lists that the trainer passes along."""
        return (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )

    def train_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        if self.strategy is None:
            return super().train_step(state, data)
        groups = self._state_groups()
        mapping = [
            pair
            for variables, values in zip(groups, state, strict=True)
            for pair in zip(variables, values, strict=True)
        ]
        with keras.StatelessScope(mapping) as scope:
            logs = self.run_task_step(data)
        state = tuple(
            [scope.get_current_value(variable) for variable in variables]
            for variables in groups
        )
        return logs, state
