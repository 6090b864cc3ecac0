"""Cross-stitch units: learned linear mixes of the tasks' features."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.layers.task_names import check_keys
from keras_mtl.layers.task_names import checked_tasks
from keras_mtl.layers.tasks_in_order import TasksInOrder
from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.layers.CrossStitch")
class CrossStitch(TasksInOrder):
    """Gives each task a learned linear mix of all tasks' features.

    Each task has a network of its own, all of one architecture (often trained
    alone before), and after some of their layers a unit like this joins them.
    How much is shared at which depth is learned, at the price of one network
    per task.

    `x'_k = alpha_k1 x_1 + ... + alpha_kK x_K`

    Each task's row `alpha_k` is a variable of its own. Such weights change
    slowly: the paper trains them with a larger learning rate than the
    networks.

    Args:
        tasks: Names of the tasks.
        per_channel: Whether each channel has weights of its own, in place of
            one number for each pair of tasks. Defaults to `False`.
        axis: The axis of the channels, for `per_channel`. Defaults to `-1`.
        own_weight: Initial `alpha_kk`, from 0 to 1. The others start with
            equal weights that make each row add up to 1. Defaults to `0.9`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: A dict of tensors by task, all of one shape.

    Output shape:
        A dict by task, with the shape of the inputs.

    Masks are passed on, task by task.

    Raises:
        ValueError: If an argument is not as described, or inputs are no dict
            by task or differ in shape.

    Example:

    ```python
    layer = keras_mtl.layers.CrossStitch(["depth", "normals"])
    features = {
        "depth": keras.ops.ones((2, 8)),
        "normals": keras.ops.zeros((2, 8)),
    }
    mixed = layer(features)  # all entries 0.9 for depth, 0.1 for normals
    ```

    References:
        Misra et al., Cross-stitch Networks for Multi-task Learning, CVPR 2016,
        equation 1, [arXiv:1604.03539](https://arxiv.org/abs/1604.03539), for
        two tasks; more are mixed in the same way. With `per_channel`, there is
        one of the paper's units for each channel.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        per_channel: bool = False,
        axis: int = -1,
        own_weight: float = 0.9,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.tasks = checked_tasks(tasks)
        self.per_channel = bool(per_channel)
        if isinstance(axis, bool) or not isinstance(axis, int) or axis == 0:
            raise ValueError(
                "Argument `axis` must be an integer, not 0, the axis of the "
                f"batch. Received: axis={axis!r}"
            )
        self.axis = axis
        self.own_weight = checked_number("own_weight", own_weight, "[0, 1]")

    def build(self, inputs_shape: dict[str, Shape]) -> None:
        check_keys("The input of CrossStitch", inputs_shape, self.tasks)
        shapes = [tuple(inputs_shape[task]) for task in self.tasks]
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(
                "All inputs of CrossStitch must have one shape. Received: "
                f"{dict(zip(self.tasks, shapes, strict=True))}"
            )
        size = self._num_channels(shapes[0])
        self.rows = {
            task: self.add_weight(
                name=f"{task}_weights",
                shape=(len(self.tasks), size),
                initializer=self._initializer(k),
            )
            for k, task in enumerate(self.tasks)
        }

    def _num_channels(self, shape: Shape) -> int:
        """How many weights a pair of tasks has."""
        if not self.per_channel:
            return 1
        if not -len(shape) < self.axis < len(shape):
            raise ValueError(
                f"`axis={self.axis}` is no axis of inputs of shape {shape}, "
                "or that of the batch."
            )
        if shape[self.axis] is None:
            raise ValueError(
                "The number of channels must be known. Received inputs of "
                f"shape {shape} with `axis={self.axis}`"
            )
        return shape[self.axis]

    def _initializer(self, own: int) -> Any:
        others = (1.0 - self.own_weight) / max(len(self.tasks) - 1, 1)
        row = np.full((len(self.tasks), 1), others)
        row[own] = self.own_weight
        return keras.initializers.Constant(row)

    def call(self, inputs: Any) -> dict[str, Any]:
        check_keys("The input of CrossStitch", inputs, self.tasks)
        outputs = {}
        for task in self.tasks:
            row = ops.convert_to_tensor(self.rows[task])
            outputs[task] = sum(
                self._spread(row[k], inputs[other]) * inputs[other]
                for k, other in enumerate(self.tasks)
            )
        return outputs

    def _spread(self, weight: Tensor, tensor: Tensor) -> Tensor:
        """Reshapes weights `[channels]` or `[1]` to broadcast to a tensor."""
        rank = len(tensor.shape)
        axis = self.axis % rank if self.per_channel else rank - 1
        return ops.reshape(weight, (-1, *[1] * (rank - 1 - axis)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tasks": list(self.tasks),
            "per_channel": self.per_channel,
            "axis": self.axis,
            "own_weight": self.own_weight,
        }
