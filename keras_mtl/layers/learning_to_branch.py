"""A network that learns where its tasks part ways."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
from keras import ops

from keras_mtl.arguments import MOST_PARTS
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.layers.block_rows import checked_rows
from keras_mtl.layers.gumbel_softmax import gumbel_softmax
from keras_mtl.layers.parent_choice import ParentChoice
from keras_mtl.layers.task_names import checked_tasks
from keras_mtl.layers.tasks_in_order import TasksInOrder
from keras_mtl.revive import entry
from keras_mtl.revive import revive_layer
from keras_mtl.seeded import checked_seed
from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.layers.LearningToBranch")
class LearningToBranch(TasksInOrder):
    """Learns, with the weights, which layers the tasks share.

    Candidate blocks stand in rows. Every block of a row, and every task after
    the last row, picks one block of the row before as its parent. In training
    the picks are random and relaxed, so that gradients reach their logits; in
    inference the likeliest parent counts, and the picks form a tree that
    branches from the input to the tasks. Use it to find out which tasks
    belong together and up to which depth, then take the tree alone
    (`to_model`), which costs what a network designed by hand does.

    With the outputs `y_1, ..., y_N` of a row and logits `theta_j` of a block
    j of the next row, or of a task, its input in training is

    `x_j = sum_i d_ij y_i`, `d_j = softmax((theta_j + gumbel) / temperature)`

    and `y_i` with the largest `theta_ij` otherwise. One draw serves a batch.

    While picks are soft, all blocks and the logits between them serve all
    tasks; the logits of a task's own pick are its own.

    Args:
        tasks: List of task names.
        blocks: List with one entry per row, from the input on: a list of
            layers, or one layer of which `width` copies are made, with
            weights of their own. The blocks of a row must give outputs of
            the same shape.
        width: Number of blocks in rows that are given as one layer. Defaults
            to `None`, the number of tasks.
        temperature: Temperature to begin with, positive. High ones mix the
            parents evenly, low ones pick one. It is held in the variable
            `layer.temperature`; lower it during training by
            `keras_mtl.callbacks.TemperatureSchedule`. Defaults to `1.0`.
        hard: Whether picks in training are one-hot, with the gradient of the
            relaxed ones (straight-through). Defaults to `False`.
        seed: Seed of the draws. Defaults to `None`, a random one.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor for the first row.
        training: Whether to draw picks at random.

    Input shape:
        What the blocks of the first row take.

    Output shape:
        Dict from task names to outputs of the last row.

    Raises:
        ValueError: If an argument is out of range, or, when built, if blocks
            of a row differ in the shape of their output.

    Example:

    ```python
    inputs = keras.Input((8,))
    branching = keras_mtl.layers.LearningToBranch(
        tasks=["a", "b", "c"],
        blocks=[
            [keras.layers.Dense(16, activation="relu")],
            keras.layers.Dense(16, activation="relu"),
        ],
    )
    features = branching(inputs)
    branching.tree()  # {"a": [0, 0], "b": [0, 0], "c": [0, 0]}
    ```

    References:
        Guo, Lee and Ulbricht, Learning to Branch for Multi-Task Learning,
        ICML 2020, section 3,
        [arXiv:2006.01895](https://arxiv.org/abs/2006.01895). Weights and
        logits are learned in the same steps here. LibMTL's implementation
        has `hard=True` after a warm-up with all parents summed, and a
        temperature of `epochs / (20 sqrt(epoch + 1))`.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        blocks: Sequence[Any],
        width: int | None = None,
        temperature: float = 1.0,
        hard: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.tasks = checked_tasks(tasks)
        self.width = checked_integer(
            "width",
            len(self.tasks) if width is None else width,
            high=MOST_PARTS,
        )
        self.blocks = checked_rows(blocks, self.width)
        self.initial_temperature = checked_number(
            "temperature", temperature, "(0, inf)"
        )
        self.hard = bool(hard)
        self.seed = checked_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.temperature = self.add_weight(
            name="temperature",
            shape=(),
            initializer=keras.initializers.Constant(self.initial_temperature),
            trainable=False,
            dtype="float32",
            autocast=False,
        )

    def build(self, input_shape: Shape) -> None:
        shape = tuple(input_shape)
        for depth, row in enumerate(self.blocks):
            for block in row:
                if not block.built:
                    block.build(shape)
            shapes = [tuple(block.compute_output_shape(shape)) for block in row]
            if len(set(shapes)) > 1:
                raise ValueError(
                    "The blocks of a row must give outputs of the same shape, "
                    "or they could not stand in for each other. Received in "
                    f"row {depth}: {', '.join(map(str, shapes))}"
                )
            shape = shapes[0]
        counts = [len(row) for row in self.blocks]
        self.row_choices = [
            ParentChoice(children, parents, name=f"choice_{depth}")
            for depth, (parents, children) in enumerate(pairwise(counts), 1)
        ]
        # One variable each: a task's own choice is the task's own.
        self.task_choices = {
            task: ParentChoice(1, counts[-1], name=f"choice_{task}")
            for task in self.tasks
        }
        self.feature_shape = tuple(input_shape)[1:]
        self.built = True

    def call(
        self, inputs: Any, training: bool | None = None
    ) -> dict[str, Tensor]:
        sample = self._sample if training else None
        outputs = [block(inputs) for block in self.blocks[0]]
        for row, choice in zip(self.blocks[1:], self.row_choices, strict=True):
            inputs = choice.inputs_of_children(outputs, sample)
            outputs = [block(x) for block, x in zip(row, inputs, strict=True)]
        return {
            task: choice.inputs_of_children(outputs, sample)[0]
            for task, choice in self.task_choices.items()
        }

    def _sample(self, logits: Tensor) -> Tensor:
        temperature = ops.convert_to_tensor(self.temperature)
        return gumbel_softmax(
            logits, temperature, self.seed_generator, self.hard
        )

    def tree(self) -> dict[str, list[int]]:
        """Returns, for each task, the chosen block of every row.

        Returns:
            Dict from task names to indices into the rows of `blocks`, from
            the input to the task. Tasks share the blocks up to where their
            lists begin to differ.

        Raises:
            ValueError: If the layer is not built.

        Example:

        ```python
        branching.tree()  # {"a": [0, 0], "b": [0, 0], "c": [0, 0]}
        ```
        """
        if not self.built:
            raise ValueError(
                "The layer has no tree yet. Call it on an input, or build it, "
                "first."
            )
        parents_by_row = [choice.likeliest() for choice in self.row_choices]
        tree = {}
        for task, choice in self.task_choices.items():
            path = choice.likeliest()
            for parents in reversed(parents_by_row):
                path.insert(0, parents[path[0]])
            tree[task] = path
        return tree

    def to_model(self) -> keras.Model:
        """Returns a model of the chosen blocks alone, with their weights.

        Returns:
            A Functional model that predicts what this layer does in
            inference: a dict by task. It is made of this layer's own blocks.
            Use `keras.models.clone_model` on it to train the tree afresh.

        Raises:
            ValueError: If the layer is not built.

        Example:

        ```python
        chosen = branching.to_model()
        chosen.count_params()
        ```
        """
        tree = self.tree()
        inputs = keras.Input(self.feature_shape)
        made: dict[tuple[int, ...], Any] = {(): inputs}
        for path in map(tuple, tree.values()):
            for depth, chosen in enumerate(path):
                so_far, here = path[:depth], path[: depth + 1]
                if here not in made:
                    made[here] = self.blocks[depth][chosen](made[so_far])
        outputs = {task: made[tuple(path)] for task, path in tree.items()}
        return keras.Model(inputs, outputs, name=f"{self.name}_tree")

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "tasks": list(self.tasks),
            "blocks": [[serialize(b) for b in row] for row in self.blocks],
            "width": self.width,
            "temperature": self.initial_temperature,
            "hard": self.hard,
            "seed": self.seed,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Any:
        blocks = [
            [revive_layer(block, custom_objects) for block in row]
            for row in entry(config, "blocks")
        ]
        return cls(**{**config, "blocks": blocks})
