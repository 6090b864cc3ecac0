"""Pairs of MNIST-like images on one canvas, one task a corner."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_mtl.datasets.idx_files import SIDE
from keras_mtl.datasets.idx_files import read_idx_images
from keras_mtl.datasets.overlaid_images import overlaid_images
from keras_mtl.datasets.recipe import ArraySpec
from keras_mtl.datasets.recipe import Recipe
from keras_mtl.datasets.task_sources import generator_of
from keras_mtl.datasets.tfds_package import import_tfds

CANVAS = 36


class OverlaidPairs(Recipe):
    """Multi-MNIST and its relatives.

    Args:
        name: Name of the data set.
        left: `"mnist"` or `"fashion_mnist"`, on the top left.
        right: The same for the bottom right.
        num_train: Number of training images.
        num_test: Number of test images.
        seed: Seed of the pairs.
    """

    def __init__(
        self,
        name: str,
        left: str,
        right: str,
        num_train: int = 120_000,
        num_test: int = 20_000,
        seed: int = 0,
    ):
        super().__init__(
            num_train=num_train,
            num_test=num_test,
            seed=seed,
        )
        self.name = name
        self.left = left
        self.right = right

    def specs(self):
        label = ArraySpec((), "int32")
        image = ArraySpec((CANVAS, CANVAS, 1), "float32")
        return image, {"left": label, "right": label}

    def open(self, split, data_dir=None):
        left = read_images(self.left, split, data_dir)
        right = left
        if self.right != self.left:
            right = read_images(self.right, split, data_dir)
        generator = generator_of(self.options["seed"], split, 0)
        size = self.options[f"num_{split}"]
        return PairSamples(
            left,
            right,
            _in_turn(len(left[0]), size, generator),
            _in_turn(len(right[0]), size, generator),
        )


class PairSamples:
    """Pairs, overlaid when they are asked for.

    Args:
        left: Images `[n, 28, 28]` of bytes and their labels.
        right: The same for the other corner.
        left_rows: Which of `left` each sample shows.
        right_rows: Which of `right` each sample shows.
    """

    def __init__(self, left, right, left_rows, right_rows):
        self.left = left
        self.right = right
        self.left_rows = left_rows
        self.right_rows = right_rows

    def __len__(self):
        return len(self.left_rows)

    def take(self, rows):
        left = self.left_rows[rows]
        right = self.right_rows[rows]
        images = overlaid_images(
            self.left[0][left], self.right[0][right], CANVAS
        ).astype("float32")
        images /= 255.0
        return images, {
            "left": self.left[1][left],
            "right": self.right[1][right],
        }


def read_images(
    name: str, split: str, data_dir: str | os.PathLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns images `[n, 28, 28]` of bytes and int32 labels `[n]`.

    Args:
        name: `"mnist"` or `"fashion_mnist"`.
        split: `"train"` or `"test"`.
        data_dir: Folder with a folder of that name with the IDX files, or
            `None` for TensorFlow Datasets, which downloads them once.
    """
    if data_dir is not None:
        return read_idx_images(Path(data_dir) / name, split)
    tfds = import_tfds(f"Downloading {name!r}")
    try:
        source = tfds.data_source(name, split=split)
    except OSError as error:
        # No network, or no place to write to.
        raise FileNotFoundError(
            f"TensorFlow Datasets cannot download {name!r}: {error}. Get the "
            "four IDX files of the original distribution "
            f"(train-images-idx3-ubyte.gz and so on), put them into FOLDER/"
            f"{name}, and pass `data_dir=FOLDER`."
        ) from error
    return _as_arrays(source)


def _as_arrays(source: Any):
    images = np.empty((len(source), SIDE, SIDE), dtype="uint8")
    labels = np.empty(len(source), dtype="int32")
    for row in range(len(source)):
        sample = source[row]
        images[row] = sample["image"][..., 0]
        labels[row] = sample["label"]
    return images, labels


def _in_turn(number, size, generator):
    """Rows in random order, each of them equally often, up to one."""
    passes = -(-size // number)
    order = [generator.permutation(number) for _ in range(passes)]
    return np.concatenate(order)[:size]
