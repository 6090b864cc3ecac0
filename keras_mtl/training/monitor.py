"""Notes of steps whose losses or gradients were not finite."""

import logging
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

LOGGER = logging.getLogger("keras_mtl")


@keras_mtl_export("keras_mtl.NonFiniteError")
class NonFiniteError(FloatingPointError, ValueError):
    """A task's loss or gradient was not finite during training."""


class StepMonitor(keras.layers.Layer):
    """Counts steps and remembers the first one that was not finite.

    Args:
        tasks: Task names.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(self, tasks: list[str], **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)
        self.tasks = list(tasks)

        def counter(name: str, shape: Shape = ()) -> Variable:
            return self.add_weight(
                name=name,
                shape=shape,
                dtype="int32",
                initializer="zeros",
                trainable=False,
            )

        self.steps = counter("steps")
        self.failed_steps = counter("failed_steps")
        self.first_failed_step = counter("first_failed_step")
        self.failed_tasks = counter("failed_tasks", (len(tasks),))
        self.built = True

    def note_success(self) -> list[tuple[Variable, Tensor]]:
        """Returns assignments that record a step known to be finite."""
        return [(self.steps, ops.add(self.steps, 1))]

    def note(
        self, proceed: Tensor, at_fault: Tensor
    ) -> list[tuple[Variable, Tensor]]:
        """Returns assignments that record one step.

        Args:
            proceed: Bool scalar: everything was finite.
            at_fault: Bool tensor `[K]`: the tasks to name if not.
        """
        step = ops.add(self.steps, 1)
        is_first = ops.logical_and(
            ops.logical_not(proceed), ops.equal(self.failed_steps, 0)
        )
        failed = ops.cast(ops.logical_not(proceed), "int32")
        return [
            (self.steps, step),
            (self.failed_steps, ops.add(self.failed_steps, failed)),
            (
                self.first_failed_step,
                ops.where(is_first, step, self.first_failed_step.value),
            ),
            (
                self.failed_tasks,
                ops.where(
                    is_first,
                    ops.cast(at_fault, "int32"),
                    self.failed_tasks.value,
                ),
            ),
        ]

    def read_and_forget(self) -> tuple[int, str]:
        """Returns how many steps failed and what did first, and forgets it."""
        failed_steps, step, flags = backend.to_host(
            [
                ops.convert_to_tensor(variable)
                for variable in (
                    self.failed_steps,
                    self.first_failed_step,
                    self.failed_tasks,
                )
            ]
        )
        if not failed_steps:
            return 0, ""
        # Copies: torch shares the memory of its variables.
        count, step = int(failed_steps), int(step)
        names = [
            t for t, failed in zip(self.tasks, flags, strict=True) if failed
        ]
        self.forget()
        when = f"at training step {step} (counted from `compile`)"
        if names:
            return count, (
                "The loss or gradient of task "
                f"{', '.join(map(repr, names))} was not finite {when}."
            )
        return count, (
            f"The update was not finite {when}, while the losses of task "
            f"{', '.join(map(repr, self.tasks))} were: a gradient of shared "
            "variables, a regularizer, or a batch without samples."
        )

    def raise_if_failed(self) -> None:
        """Raises `NonFiniteError` for failed steps, and forgets them."""
        count, what = self.read_and_forget()
        if count:
            raise NonFiniteError(
                f"{what} That step changed nothing: weights, optimizer and "
                "strategy are as before it. Look for NaN or infinite inputs "
                "and labels, for batches without samples, for too large a "
                "learning rate and for negative losses where a method needs "
                "positive ones, as for their logarithm (add a constant to "
                'such a loss), or pass `on_nonfinite="skip"` to `compile` '
                "to leave out such steps."
            )

    def warn_if_failed(self) -> None:
        """Logs a warning for steps that were left out, and forgets them."""
        count, what = self.read_and_forget()
        if count:
            LOGGER.warning("Training left out %d step(s). %s", count, what)

    def forget(self) -> None:
        """Forgets failed steps."""
        # The next one to fail is the first again, and replaces what is noted.
        self.failed_steps.assign(0)
