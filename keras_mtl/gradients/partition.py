"""Which tasks each variable serves."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import keras


class Partition:
    """The incidence of trainable variables and tasks.

    A variable that two or more tasks reach is shared; one that a single task
    reaches is that task's own; one that none reaches is idle. Variables that
    an optimizer overwrites with their "gradient" (the scales of float8) serve
    no task: they are `overwritten`.

    Args:
        tasks: Task names.
        variables: All trainable variables of the model.
        reach: For each task, the variables it reaches; may hold others than
            `variables`.

    Raises:
        ValueError: If a task reaches no trainable variable.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        variables: Sequence[keras.Variable],
        reach: Mapping[str, Iterable[keras.Variable]],
    ):
        self.tasks = list(tasks)
        self.variables = list(variables)
        self.overwritten = [
            i
            for i, variable in enumerate(self.variables)
            if variable.overwrite_with_gradient
        ]
        reached_ids = {
            task: {id(v) for v in reach[task] if not v.overwrite_with_gradient}
            for task in tasks
        }
        self.tasks_of = [
            frozenset(
                k
                for k, task in enumerate(self.tasks)
                if id(variable) in reached_ids[task]
            )
            for variable in self.variables
        ]
        self.shared = [
            i for i, reached in enumerate(self.tasks_of) if len(reached) > 1
        ]
        self.own = [
            [
                i
                for i, reached in enumerate(self.tasks_of)
                if reached == frozenset([k])
            ]
            for k in range(len(self.tasks))
        ]
        self.idle = [
            i
            for i, reached in enumerate(self.tasks_of)
            if not reached and i not in self.overwritten
        ]
        for k, task in enumerate(self.tasks):
            if not any(k in reached for reached in self.tasks_of):
                raise ValueError(
                    f"Task {task!r} reaches no trainable variable, so there is "
                    "nothing to train for it. Unfreeze a layer on its way, or "
                    "take it out with `loss={..., "
                    f"{task!r}: None}}`."
                )

    def shared_by(self, task: int) -> list[int]:
        """Indices of the shared variables that a task reaches."""
        return [i for i in self.shared if task in self.tasks_of[i]]

    def reached_by(self, task: int) -> list[int]:
        """Indices of all variables that a task reaches."""
        return [i for i, tasks in enumerate(self.tasks_of) if task in tasks]

    @property
    def shared_variables(self) -> list[keras.Variable]:
        """Variables that two or more tasks reach."""
        return [self.variables[i] for i in self.shared]

    @property
    def task_variables(self) -> dict[str, list[keras.Variable]]:
        """For each task, the variables that only it reaches."""
        return {
            task: [self.variables[i] for i in own]
            for task, own in zip(self.tasks, self.own, strict=True)
        }
