"""Data and networks, in the form that all experiments share."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_mtl import MultiTaskModel
from keras_mtl.datasets import MultiTaskDataset
from keras_mtl.metrics import ExpectedCalibrationError

NUM_CLASSES = 10

#: Inputs, and labels by task.
Data = tuple[Any, dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Problem:
    """What a method is trained and judged on.

    Args:
        build: Returns a new model.
        losses: Loss by task.
        judge: Called with a task, its labels and the model's outputs; returns
            numbers by name.
        train: Samples to train on. Inputs are a dict by task if each task has
            its own.
        validation: Samples to choose by; `None` if there is no choice.
        test: Samples to report.
    """

    build: Callable[[], MultiTaskModel]
    losses: dict[str, keras.losses.Loss]
    judge: Callable[[str, Any, Any], dict[str, float]]
    train: Data
    validation: Data | None
    test: Data

    @property
    def has_task_inputs(self) -> bool:
        """Whether each task has inputs of its own."""
        return isinstance(self.train[0], dict)

    def inputs(self, data: Data, task: str) -> Any:
        """Returns the inputs of one task."""
        return data[0][task] if self.has_task_inputs else data[0]

    def batches(self, batch_size: int, seed: int) -> dict[str, Any]:
        """Returns what `fit` takes to train on."""
        x, y = self.train
        if self.has_task_inputs:
            sources = {task: (x[task], y[task]) for task in x}
            return {"x": MultiTaskDataset(sources, batch_size, seed=seed)}
        return {"x": x, "y": y, "batch_size": batch_size}

    def measure(
        self, models: dict[str, keras.Model], data: Data
    ) -> dict[str, dict[str, float]]:
        """Returns numbers by task and name, of models of one task each."""
        return {
            task: self.judge(
                task,
                data[1][task],
                model.predict(
                    self.inputs(data, task), batch_size=500, verbose=0
                ),
            )
            for task, model in models.items()
        }


def cross_entropy(**arguments: Any) -> keras.losses.Loss:
    """Returns the loss of a task whose outputs are logits."""
    return keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, **arguments
    )


def judge_classes(task: str, labels: Any, logits: Any) -> dict[str, float]:
    """Returns accuracy and calibration error of a classifier."""
    calibration = ExpectedCalibrationError(from_logits=True)
    calibration.update_state(labels, logits)
    return {
        "accuracy": float(np.mean(np.argmax(logits, axis=-1) == labels)),
        "ece": float(calibration.result()),
    }


def divided(data: Data, size: int) -> tuple[Data, Data]:
    """Returns the first samples, and the others."""
    x, y = data
    return (
        (x[:size], {task: labels[:size] for task, labels in y.items()}),
        (x[size:], {task: labels[size:] for task, labels in y.items()}),
    )


def lenet(size: int) -> keras.Model:
    """Returns the trunk of LeNet for grey images, as in FS-MTL's code."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((size, size, 1)),
            layers.Conv2D(10, 9, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(20, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(50, activation="relu"),
        ],
        name="lenet",
    )
