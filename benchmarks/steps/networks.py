"""The two networks that are timed, with their data."""

import dataclasses
from typing import Any

import keras
import numpy as np

BATCH_SIZE = 256
LEARNING_RATE = 1e-3


@dataclasses.dataclass
class Problem:
    """A network with data.

    Attributes:
        trunk: The layers that all tasks share.
        heads: One layer by task.
        losses: Loss by task.
        x: Inputs of one batch, NumPy.
        y: Labels by task, NumPy.
    """

    trunk: keras.Model
    heads: dict[str, keras.layers.Layer]
    losses: dict[str, keras.losses.Loss]
    x: np.ndarray
    y: dict[str, np.ndarray]

    def functional(self) -> tuple[Any, dict[str, Any]]:
        """Returns symbolic inputs and outputs."""
        inputs = keras.Input(self.x.shape[1:])
        features = self.trunk(inputs)
        return inputs, {
            task: head(features) for task, head in self.heads.items()
        }

    def build(self) -> "Problem":
        """Creates the variables."""
        self.functional()
        return self

    def with_tasks(self, count: int) -> "Problem":
        """Returns the problem with a number of tasks like the first one."""
        first = next(iter(self.heads))
        head, tasks = self.heads[first], [f"task_{k}" for k in range(count)]
        return dataclasses.replace(
            self,
            heads={
                task: type(head).from_config(
                    {**head.get_config(), "name": task}
                )
                for task in tasks
            },
            losses=dict.fromkeys(tasks, self.losses[first]),
            y=dict.fromkeys(tasks, self.y[first]),
        )

    @staticmethod
    def optimizer() -> keras.optimizers.Optimizer:
        """The optimizer of every variant."""
        return keras.optimizers.SGD(LEARNING_RATE)


def lenet() -> Problem:
    """Two classification tasks on images of 36 x 36 pixels."""
    layers = keras.layers
    generator = np.random.default_rng(0)
    tasks = ("left", "right")
    x = generator.normal(size=(BATCH_SIZE, 36, 36, 1)).astype("float32")
    return Problem(
        trunk=keras.Sequential(
            [
                layers.Conv2D(10, 9, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Conv2D(20, 5, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dense(50, activation="relu"),
            ]
        ),
        heads={
            task: layers.Dense(10, activation="softmax", name=task)
            for task in tasks
        },
        losses={
            task: keras.losses.SparseCategoricalCrossentropy() for task in tasks
        },
        x=x,
        y={
            task: generator.integers(0, 10, size=BATCH_SIZE).astype("int32")
            for task in tasks
        },
    )


def mlp() -> Problem:
    """Eight regression tasks on vectors."""
    layers = keras.layers
    generator = np.random.default_rng(0)
    tasks = [f"task_{index}" for index in range(8)]
    x = generator.normal(size=(BATCH_SIZE, 256)).astype("float32")
    return Problem(
        trunk=keras.Sequential(
            [layers.Dense(512, activation="relu") for _ in range(3)]
        ),
        heads={task: layers.Dense(1, name=task) for task in tasks},
        losses={task: keras.losses.MeanSquaredError() for task in tasks},
        x=x,
        y={
            task: generator.normal(size=(BATCH_SIZE, 1)).astype("float32")
            for task in tasks
        },
    )


def wide_mlp(width: int) -> Problem:
    """A classification task with much larger weights than activations."""
    generator = np.random.default_rng(0)
    dense = keras.layers.Dense
    return Problem(
        trunk=keras.Sequential(
            [dense(width, activation="relu") for _ in range(3)]
        ),
        heads={"class": dense(10, name="class")},
        losses={
            "class": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True
            )
        },
        x=generator.normal(size=(16, width)).astype("float32"),
        y={"class": generator.integers(0, 10, 16).astype("int32")},
    )


NETWORKS = {"lenet": lenet, "mlp": mlp}
