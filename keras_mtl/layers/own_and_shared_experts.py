"""What layers share that give each task experts beside shared ones."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_mtl.arguments import MOST_PARTS
from keras_mtl.arguments import checked_integer
from keras_mtl.layers.task_names import check_keys
from keras_mtl.layers.task_names import checked_tasks
from keras_mtl.layers.tasks_in_order import TasksInOrder

#: Name of what belongs to no task.
SHARED = "shared"


class OwnAndSharedExperts(TasksInOrder):
    """Knows the tasks, and how many experts each has, and all share.

    Subclasses call `set_numbers` in `__init__`.
    """

    def set_numbers(
        self,
        tasks: Sequence[str],
        num_task_experts: int | Mapping[str, int],
        num_shared_experts: int,
    ) -> None:
        """Sets what was given, or raises `ValueError`.

        Args:
            tasks: Names of the tasks.
            num_task_experts: How many experts each task has, or a dict by
                task.
            num_shared_experts: How many shared experts there are.
        """
        self.tasks = checked_tasks(tasks, reserved=(SHARED,))
        self.num_task_experts = _by_task(num_task_experts, self.tasks)
        self.num_shared_experts = checked_integer(
            "num_shared_experts", num_shared_experts, high=MOST_PARTS
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tasks": list(self.tasks),
            "num_task_experts": dict(self.num_task_experts),
            "num_shared_experts": self.num_shared_experts,
        }


def _by_task(value: Any, tasks: Sequence[str]) -> dict[str, int]:
    """Returns the number of experts of each task, or raises `ValueError`."""
    if not isinstance(value, Mapping):
        value = dict.fromkeys(tasks, value)
    check_keys("Argument `num_task_experts`, if a dict,", value, tasks)
    return {
        task: checked_integer("num_task_experts", value[task], high=MOST_PARTS)
        for task in tasks
    }
