"""Losses and gradients as a step of `keras.Model` computes them."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.training.batch import Batch
from keras_mtl.training.look import Look
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

#: How far a look nearby moves each variable, relative to its size ...
RADIUS = 0.1

#: ... which is taken to be at least this.
SMALLEST_SIZE = 0.1

#: Steps between neighbouring numbers, where layers compute with few digits.
EPSILON = {"float64": 1.2e-7, "float32": 1.2e-7, "float16": 1e-3}
COARSE_EPSILON = 8e-3
FLOAT8_EPSILON = 0.125


class PlainStep:
    """Computes with variables as they are, by the framework's own means.

    Args:
        model: A built and compiled `MultiTaskModel`.
        trainable: Its trainable variables.
        bypass: Its `backend.Bypass`.
    """

    def __init__(
        self,
        model: Any,
        trainable: list[keras.Variable],
        bypass: backend.Bypass,
    ):
        self._model = model
        self._bypass = bypass
        self._trainable = trainable
        #: Those that have gradients.
        self.variables = [v for v in trainable if not v.overwrite_with_gradient]
        self.names = [variable.path for variable in self.variables]
        self._dtypes: set[str] = set()

    @property
    def all_variables(self) -> list[keras.Variable]:
        """All variables that a step reads."""
        return [*self._model.variables, *self._model.metrics_variables]

    def reach(self, batch: Batch) -> list[set[int]]:
        """For each task, indices of the variables it has gradients by."""
        return backend.live_reach(
            lambda: self._losses(batch)[0],
            self._trainable,
            self._model.run_eagerly,
        )

    def at_weights(self, batch: Batch) -> Look:
        """Loss, and gradients with those of regularizers, at the weights."""
        return self._point(batch, penalties=True)

    def offsets(self, at_weights: Look) -> list[Tensor]:
        """Where to look nearby: one tensor per variable."""
        offsets = []
        for variable, gradient in zip(
            self.variables, at_weights.gradients, strict=True
        ):
            size = ops.norm(ops.ravel(ops.convert_to_tensor(variable.value)))
            norm = ops.norm(ops.ravel(gradient))
            length = RADIUS * ops.maximum(size, SMALLEST_SIZE)
            offsets.append(gradient * (length / ops.where(norm > 0, norm, 1)))
        return offsets

    def nearby(self, batch: Batch, offsets: list[Tensor]) -> Look:
        """Loss and gradients without regularizers, with weights moved."""
        before = [
            ops.copy(ops.convert_to_tensor(v.value)) for v in self.variables
        ]
        try:
            for variable, value, offset in zip(
                self.variables, before, offsets, strict=True
            ):
                variable.assign(value + offset)
            return self._point(batch, penalties=False)
        finally:
            for variable, value in zip(self.variables, before, strict=True):
                variable.assign(value)

    def _point(self, batch: Batch, penalties: bool) -> Look:
        def losses() -> tuple[Tensor, list[Tensor]]:
            of_tasks, others = self._losses(batch)
            loss = sum(of_tasks[1:], of_tasks[0])
            return sum(others, loss) if penalties else loss, [loss]

        _, (loss,), gradients = backend.live_gradients(losses, self.variables)
        return Look(loss, gradients, [])

    def _losses(self, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        model = self._model
        # What layers assign to stays as it is.
        with (
            self._bypass.protected(),
            backend.forward_precision(),
            _Reading(self._dtypes) as scope,
        ):
            outputs = model(batch.x, training=True)
            scope.show_regularized(self.variables)
            # Of this call, not of those that losses make.
            penalties = [ops.sum(penalty) for penalty in model.losses]
            task_losses = model.compute_task_losses(
                batch.x, batch.y, outputs, batch.sample_weight, training=True
            )
        return model.task_losses.weigh(task_losses), penalties

    def epsilon(self) -> float:
        """The step between the numbers that layers computed with."""
        if len(self.variables) < len(self._trainable):
            return FLOAT8_EPSILON
        dtypes = {*self._dtypes, *backend.autocast_dtypes()}
        return max(EPSILON.get(dtype, COARSE_EPSILON) for dtype in dtypes)


class _Reading(keras.StatelessScope):
    """Keeps variables from being changed, and notes what they are read as."""

    def __init__(self, dtypes: set[str]):
        super().__init__(collect_losses=True)
        self._dtypes = dtypes

    def get_current_value(self, variable: Variable) -> Tensor | None:
        if "float" in variable.dtype:
            self._dtypes.add(variable.dtype)
        return super().get_current_value(variable)

    def add_update(self, update: tuple[Variable, Tensor]) -> None:
        variable, value = update
        super().add_update((variable, backend.as_assigned(value)))

    def show_regularized(self, variables: Sequence[Variable]) -> None:
        """Lets Keras see weights as they are, which it looks for in a scope."""
        for variable in variables:
            if variable.regularizer is not None:
                value = ops.convert_to_tensor(variable.value)
                self.state_mapping[id(variable)] = value
