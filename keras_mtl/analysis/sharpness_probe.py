"""Sharpness of the tasks' losses on data that stay the same."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl import backend
from keras_mtl.analysis.fixed_batches import read_batches
from keras_mtl.analysis.fixed_batches import stack_batches
from keras_mtl.analysis.measurement import Measurement
from keras_mtl.analysis.sharpness import Sharpness
from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.gradients.jacobian import wide_dtype
from keras_mtl.gradients.partition import Partition
from keras_mtl.seeded import checked_seed
from keras_mtl.typing import Tensor

VARIABLES = ("all", "shared")


class SharpnessProbe:
    """Measures a model whenever it is called.

    The data are read once, and what is compiled serves all calls until the
    model's variables or losses change.

    Args:
        data: As for `keras_mtl.analysis.task_sharpness`, like the others.
        num_batches: The same.
        batch_size: The same.
        rho: The same.
        adaptive_rho: The same.
        variables: The same.
        training: The same.
        iterations: The same.
        tolerance: The same.
        seed: The same.
    """

    def __init__(
        self,
        data: Any,
        num_batches: int | None,
        batch_size: int,
        rho: float | Sequence[float] | None,
        adaptive_rho: float | Sequence[float] | None,
        variables: str,
        training: bool,
        iterations: int,
        tolerance: float,
        seed: int,
    ):
        if num_batches is not None:
            checked_integer("num_batches", num_batches)
        self.rho = _checked_radii("rho", rho)
        self.adaptive_rho = _checked_radii("adaptive_rho", adaptive_rho)
        self.variables = checked_choice("variables", variables, VARIABLES)
        self.training = bool(training)
        self.iterations = checked_integer("iterations", iterations, 0)
        self.tolerance = checked_number("tolerance", tolerance, "[0, 1)")
        self.seed = checked_seed(seed)
        checked_integer("batch_size", batch_size)
        self._stacks = stack_batches(
            read_batches(data, num_batches, batch_size)
        )
        self._known: Any = None
        self._measure: Any = None

    def __call__(self, model: Any) -> Sharpness:
        """Returns the sharpness of a compiled `MultiTaskModel`.

        Raises:
            ValueError: If it has no task losses, or nothing is shared.
        """
        if getattr(model, "task_losses", None) is None:
            raise ValueError(
                "Sharpness is that of the losses of a keras_mtl.MultiTaskModel "
                "that was compiled with `loss={task: ...}`. Received: a "
                f"{type(model).__name__} without such losses."
            )
        if not model.built:
            x = keras.tree.map_structure(
                lambda array: None if array is None else array[0],
                self._stacks[0][0],
            )
            with keras.StatelessScope():
                model(x)
        partition = model.partition()
        chosen = self._chosen(partition)
        state_variables = model.network_variables(False)
        variables = [*partition.variables, *state_variables]
        self._compile(model, partition, state_variables, chosen)
        values = [ops.convert_to_tensor(v.value) for v in variables]
        rows = [
            backend.to_host(
                self._measure(
                    values,
                    self._stacks,
                    self._start(partition, chosen, task),
                    ops.one_hot(task, len(partition.tasks)),
                )
            )
            for task in range(len(partition.tasks))
        ]
        return self._result(partition.tasks, rows)

    def _chosen(self, partition: Partition) -> list[int]:
        """Indices of the variables to look along."""
        if self.variables == "shared":
            if not partition.shared:
                raise ValueError(
                    "The tasks of the model share no trainable variables: use "
                    '`variables="all"`. Received: '
                    f"variables={self.variables!r}"
                )
            return list(partition.shared)
        return [i for i, tasks in enumerate(partition.tasks_of) if tasks]

    def _compile(
        self,
        model: Any,
        partition: Partition,
        state_variables: list[keras.Variable],
        chosen: list[int],
    ) -> None:
        """Has `_measure` measure this model, as it is now."""
        losses = model.task_losses
        known = (
            model,
            losses,
            losses.handle_missing,
            [id(v) for v in (*partition.variables, *state_variables)],
        )
        if known == self._known:
            return
        measurement = Measurement(
            model,
            partition,
            state_variables,
            chosen,
            self.training,
            self.rho,
            self.adaptive_rho,
            self.iterations,
            self.tolerance,
        )
        self._measure = backend.compile_function(
            measurement, model.run_eagerly, model.jit_compile
        )
        self._known = known

    def _start(
        self, partition: Partition, chosen: list[int], task: int
    ) -> list[Tensor]:
        """The vector that power iteration begins with.

        Of variables that do not serve the task it has nothing: they would add
        zeros to the eigenvalues.
        """
        generator = np.random.default_rng(self.seed)
        start = []
        for i in chosen:
            variable = partition.variables[i]
            part = generator.normal(size=tuple(variable.shape))
            start.append(
                ops.convert_to_tensor(
                    part * (task in partition.tasks_of[i]),
                    dtype=wide_dtype(variable.dtype),
                )
            )
        return start

    def _result(self, tasks: Sequence[str], rows: Any) -> Sharpness:
        losses, gaps, adaptive_gaps, eigenvalues, residuals = (
            np.array(column) for column in zip(*rows, strict=True)
        )
        has_eigenvalues = self.iterations > 0
        return Sharpness(
            tasks=tuple(tasks),
            losses=losses,
            rho=self.rho,
            gaps=gaps,
            adaptive_rho=self.adaptive_rho,
            adaptive_gaps=adaptive_gaps,
            eigenvalues=eigenvalues if has_eigenvalues else None,
            residuals=residuals if has_eigenvalues else None,
        )


def _checked_radii(argument: str, radii: Any) -> tuple[float, ...]:
    """Returns a tuple of radii; empty for `None`."""
    if radii is None:
        return ()
    if not isinstance(radii, (list, tuple, np.ndarray)):
        radii = [radii]
    return tuple(
        checked_number(
            argument, radius, or_else="several such numbers, or None"
        )
        for radius in radii
    )
