"""Multi-task attention network: attention of each task over shared features."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_integer
from keras_mtl.export import keras_mtl_export
from keras_mtl.layers.task_attention import TaskAttention
from keras_mtl.layers.task_names import checked_tasks
from keras_mtl.layers.tasks_in_order import TasksInOrder


@keras_mtl_export("keras_mtl.layers.MTAN")
class MTAN(TasksInOrder):
    """Lets each task attend to the features of one shared backbone.

    One network for all tasks; each task has small modules that select, per
    pixel and channel, what it needs of the network's features on each level.
    Prefer it for dense prediction, such as segmentation and depth, where
    tasks look at the same image in different ways: it costs far less than a
    network per task.

    On level j, with the shared features `u_j` and `p_j`,

    `mask_j = sigmoid(h_j(g_j([u_j; f_j(attended_{j-1})])))`

    `attended_j = mask_j * p_j`

    where `g` and `h` are convolutions of size 1, `f` is a convolution of
    size 3 followed by max pooling to the size of the next level, and each
    convolution is followed by batch normalization and, but for `h`, by a
    ReLU. The first level has no `f`. All these variables are the task's own.

    Args:
        tasks: List of task names.
        reduction: By what the hidden layer of a mask has fewer channels than
            `p_j`, a positive integer. Defaults to `1`.
        outputs: `"last"` for the attended features of the last level, or
            `"all"` for a list of all levels. Defaults to `"last"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `None`, `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: List with one entry per level, from fine to coarse: a feature
            map, which is `u_j` and `p_j` in one, or a pair `(u_j, p_j)` of
            the features at the beginning and at the end of a stage.
        training: As for any Keras layer: whether batch normalization takes
            the statistics of the batch.

    Input shape:
        Per level `(batch, height, width, channels)`, or channels first.
        Heights and widths are divided by whole numbers from level to level;
        where they are unknown, by 2.

    Output shape:
        Dict from task names to features of the shape of the last `p_j`, or to
        lists of features of the shapes of all `p_j`.

    Raises:
        ValueError: If an argument is out of range, or, when built, if the
            inputs are no such list.

    Example:

    ```python
    fine = keras.Input((16, 16, 8))
    coarse = keras.Input((8, 8, 12))
    attended = keras_mtl.layers.MTAN(["segmentation", "depth"])([fine, coarse])
    attended["depth"].shape  # (None, 8, 8, 12)
    ```

    With torch before 2.12, `torch.compile(fullgraph=True)` traces no Keras
    layer that is called with nested lists; with pairs this is one.

    References:
        Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention,
        CVPR 2019, equations 1 and 2,
        [arXiv:1803.10704](https://arxiv.org/abs/1803.10704). The sigmoid
        follows a batch normalization, as in the authors' code. Their network
        for segmentation has such modules in its decoder, too; this layer is
        the part over the encoder. Convolutions have no bias, which batch
        normalization would take away.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        reduction: int = 1,
        outputs: str = "last",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.tasks = checked_tasks(tasks)
        self.reduction = checked_integer("reduction", reduction)
        self.outputs = checked_choice("outputs", outputs, ("last", "all"))
        self.data_format = checked_choice(
            "data_format",
            data_format or keras.config.image_data_format(),
            ("channels_last", "channels_first"),
        )
        self.attention = {
            task: TaskAttention(
                self.reduction,
                self.outputs,
                self.data_format,
                name=f"attention_{task}",
                dtype=self.dtype_policy,
            )
            for task in self.tasks
        }

    def build(self, input_shape: Any) -> None:
        shared, targets = zip(*_shape_pairs(input_shape), strict=True)
        for attention in self.attention.values():
            attention.build(shared, targets)
        self.built = True

    def call(self, inputs: Any) -> dict[str, Any]:
        # In two lists: torch before 2.12 cannot trace nested ones in calls.
        shared, targets = map(
            list, zip(*_pairs(inputs, _is_tensor), strict=True)
        )
        return {
            task: attention(shared, targets)
            for task, attention in self.attention.items()
        }

    def compute_output_shape(self, input_shape: Any) -> dict[str, Any]:
        shapes = [tuple(target) for _, target in _shape_pairs(input_shape)]
        chosen = shapes if self.outputs == "all" else shapes[-1]
        return dict.fromkeys(self.tasks, chosen)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tasks": list(self.tasks),
            "reduction": self.reduction,
            "outputs": self.outputs,
            "data_format": self.data_format,
        }


def _shape_pairs(shapes: Any) -> list[tuple[Any, Any]]:
    """Returns the shapes of shared and of attended features per level."""
    pairs = _pairs(shapes, _is_shape)
    if not pairs or not all(
        _is_shape(shape) and len(shape) == 4 for pair in pairs for shape in pair
    ):
        raise ValueError(
            "MTAN takes a list with one feature map, or pair of feature maps, "
            "per level, each of the shape (batch, height, width, channels). "
            f"Received shapes: {shapes}"
        )
    return pairs


def _is_shape(entry: Any) -> bool:
    return isinstance(entry, list | tuple) and all(
        size is None or isinstance(size, int) for size in entry
    )


def _is_tensor(entry: Any) -> bool:
    # No `list | tuple`, which torch before 2.10 cannot trace.
    return not isinstance(entry, (list, tuple))


def _pairs(
    levels: Any, is_single: Callable[[Any], bool]
) -> list[tuple[Any, Any]]:
    """Returns a pair of shared and attended features for each level."""
    if not isinstance(levels, (list, tuple)) or is_single(levels):
        return []
    pairs = [
        (entry, entry) if is_single(entry) else tuple(entry) for entry in levels
    ]
    return pairs if all(len(pair) == 2 for pair in pairs) else []
