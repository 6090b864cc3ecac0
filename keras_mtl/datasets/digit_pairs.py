"""`multi_digits` as one of the data sets that are loaded by name."""

from typing import Any

import numpy as np

from keras_mtl.datasets.multi_digits import CANVAS
from keras_mtl.datasets.multi_digits import multi_digits
from keras_mtl.datasets.recipe import ArraySpec
from keras_mtl.datasets.recipe import Recipe


class DigitPairs(Recipe):
    """Pairs of the digits that come with scikit-learn.

    Args:
        num_train: Number of training images.
        num_test: Number of test images.
        seed: Seed of the pairs.
    """

    name = "multi_digits"

    def __init__(
        self, num_train: int = 4000, num_test: int = 2000, seed: int = 0
    ):
        super().__init__(num_train=num_train, num_test=num_test, seed=seed)

    def specs(self):
        label = ArraySpec((), "int32")
        image = ArraySpec((CANVAS, CANVAS, 1), "float32")
        return image, {"left": label, "right": label}

    def open(self, split, data_dir=None):
        train, test = multi_digits(**self.options)
        return ArraySamples(*(train if split == "train" else test))


class ArraySamples:
    """Samples that are in memory.

    Args:
        x: Inputs.
        y: Labels by task.
    """

    def __init__(self, x: np.ndarray, y: dict[str, np.ndarray]):
        self.x = x
        self.y = y

    def __len__(self):
        return len(self.x)

    def take(self, rows: np.ndarray) -> tuple[Any, dict[str, np.ndarray]]:
        return self.x[rows], {task: y[rows] for task, y in self.y.items()}
