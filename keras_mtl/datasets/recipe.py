"""What a data set is, before anybody has asked for its samples."""

from typing import Any
from typing import NamedTuple
from typing import Protocol

import numpy as np

from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_integer
from keras_mtl.datasets.image_size import checked_image_size

#: Lowest value of the options that are integers.
LOWEST = {"num_train": 1, "num_validation": 1, "num_test": 1, "seed": 0}


class ArraySpec(NamedTuple):
    """Shape of one sample, and its dtype."""

    shape: tuple[int, ...]
    dtype: str


class Samples(Protocol):
    """The samples of a split, made or read when they are asked for."""

    def __len__(self) -> int: ...

    def take(self, rows: np.ndarray) -> tuple[Any, Any]:
        """Returns inputs and labels of some of the samples.

        Args:
            rows: Their numbers, in the order that is wanted.
        """


class Recipe:
    """How the samples of a data set are made, and what they look like.

    NumPy arrays, a `keras.utils.PyDataset` and the files of TensorFlow
    Datasets are all filled from here. The constructor of a subclass takes
    the options of the data set and touches no file. Sizes, seeds and
    `image_size` mean the same everywhere, and are checked here.

    Attributes:
        name: Name of the data set.
        splits: Names of its parts.
        options: What the samples depend on, by name.
    """

    name: str
    splits: tuple[str, ...] = ("train", "test")

    def __init__(self, **options: Any):
        for option, low in LOWEST.items():
            if option in options:
                checked_integer(option, options[option], low)
        if "image_size" in options:
            options["image_size"] = checked_image_size(options["image_size"])
        self.options = options

    def specs(self) -> tuple[Any, Any]:
        """Returns what inputs and labels of one sample are like.

        As in the samples, each is a spec or a dict of them.
        """
        raise NotImplementedError

    def open(self, split: str, data_dir: Any = None) -> Samples:
        """Returns the samples of a split, which must be one of `splits`."""
        raise NotImplementedError

    def checked_open(self, split: str, data_dir: Any = None) -> Samples:
        """Returns the samples of a split, or raises `ValueError`."""
        checked_choice("split", split, self.splits)
        return self.open(split, data_dir)

    def arrays(self, split: str, data_dir: Any = None) -> tuple[Any, Any]:
        """Returns all samples of a split."""
        samples = self.checked_open(split, data_dir)
        return samples.take(np.arange(len(samples)))
