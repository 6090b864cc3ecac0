"""Dense prediction from folders of .npy files, a file per image and task."""

import tokenize
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_mtl.arguments import checked_choice
from keras_mtl.datasets.image_size import checked_image_size
from keras_mtl.datasets.manual_files import existing_file
from keras_mtl.datasets.manual_files import manual_folder
from keras_mtl.datasets.recipe import ArraySpec
from keras_mtl.datasets.recipe import Recipe

FOLDERS = {"train": "train", "test": "val"}

VOID = -1

#: What NumPy raises for headers that are none, of which it reads literals.
BROKEN = (
    EOFError,
    MemoryError,
    OSError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)


class Kind(NamedTuple):
    """A folder of files, and what is in them."""

    folder: str
    spec: ArraySpec


class NpyFolders(Recipe):
    """The layout of the preprocessed NYUv2 and Cityscapes of MTAN.

    Args:
        name: Name of the data set, and of its folder.
        num_classes: Number of classes of the segmentation.
        kinds: Image and tasks, with their folders.
        num_train: How many training images there must be.
        num_test: How many test images there must be.
        options: Other options.
    """

    def __init__(
        self,
        name: str,
        num_classes: int,
        kinds: Mapping[str, Kind],
        num_train: int,
        num_test: int,
        options: Mapping[str, Any],
    ):
        super().__init__(
            num_train=num_train,
            num_test=num_test,
            **options,
        )
        self.name = name
        self.num_classes = num_classes
        self.kinds = dict(kinds)

    def specs(self):
        specs = {name: kind.spec for name, kind in self.kinds.items()}
        return specs.pop("image"), specs

    def open(self, split, data_dir=None):
        folder = manual_folder(self.name, data_dir) / FOLDERS[split]
        size = self.options[f"num_{split}"]
        for kind in self.kinds.values():
            existing_file(self.name, folder / kind.folder / "0.npy")
            found = len(list((folder / kind.folder).glob("*.npy")))
            if found != size:
                raise ValueError(
                    f"{folder / kind.folder} must have {size} files. Found: "
                    f"{found}. Get the archive again, or pass "
                    f"num_{split}={found} to use what is there."
                )
        return NpySamples(self, folder, size)


class NpySamples:
    """Samples that are read when they are asked for.

    Args:
        recipe: The data set.
        folder: Folder of the split.
        size: Number of samples.
    """

    def __init__(self, recipe: NpyFolders, folder: Path, size: int):
        self.recipe = recipe
        self.folder = folder
        self.size = size

    def __len__(self):
        return self.size

    def take(self, rows):
        arrays = {}
        for name, kind in self.recipe.kinds.items():
            array = np.empty((len(rows), *kind.spec.shape), kind.spec.dtype)
            for place, row in enumerate(rows):
                array[place] = self._read(kind, row)
            arrays[name] = array
        return arrays.pop("image"), arrays

    def _read(self, kind, row):
        path = self.folder / kind.folder / f"{row}.npy"
        array = _array_of(existing_file(self.recipe.name, path))
        if array.shape != kind.spec.shape:
            raise ValueError(
                f"{path} must have the shape {kind.spec.shape}. Found: "
                f"{array.shape}. If all are of that size, pass `image_size`."
            )
        if kind.spec.dtype == "int32":
            high = self.recipe.num_classes - 1
            # NaN is not equal to itself.
            if not np.array_equal(array, np.floor(array)):
                raise ValueError(
                    f"{path} must have whole numbers, the classes. Found "
                    "others."
                )
            if array.min() < VOID or array.max() > high:
                raise ValueError(
                    f"{path} must have classes from 0 to {high}, and {VOID} "
                    f"for none. Found: {array.min()} to {array.max()}"
                )
        return array


def _array_of(path):
    """Opens an array of numbers, of which nothing is read yet."""
    try:
        # Mapped: memory is taken for what is there, not for what is announced.
        array = np.lib.format.open_memmap(path, mode="r")
    except BROKEN as error:
        raise ValueError(
            f"{path} is no whole .npy file: {error}. Get the archive again."
        ) from error
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{path} must hold an array of numbers. Found: {array.dtype}"
        )
    return array


class NYUv2(NpyFolders):
    """NYUv2 as MTAN preprocessed it."""

    def __init__(
        self,
        image_size: Sequence[int] = (288, 384),
        num_train: int = 795,
        num_test: int = 654,
    ):
        size = checked_image_size(image_size)
        kinds = {
            "image": Kind("image", ArraySpec((*size, 3), "float32")),
            "segmentation": Kind("label", ArraySpec(size, "int32")),
            "depth": Kind("depth", ArraySpec((*size, 1), "float32")),
            "normal": Kind("normal", ArraySpec((*size, 3), "float32")),
        }
        super().__init__(
            "nyuv2", 13, kinds, num_train, num_test, {"image_size": size}
        )


class Cityscapes(NpyFolders):
    """Cityscapes as MTAN preprocessed it."""

    def __init__(
        self,
        num_classes: int = 7,
        image_size: Sequence[int] = (128, 256),
        num_train: int = 2975,
        num_test: int = 500,
    ):
        size = checked_image_size(image_size)
        checked_choice("num_classes", num_classes, (7, 19))
        label = f"label_{num_classes}"
        kinds = {
            "image": Kind("image", ArraySpec((*size, 3), "float32")),
            "segmentation": Kind(label, ArraySpec(size, "int32")),
            "depth": Kind("depth", ArraySpec((*size, 1), "float32")),
        }
        super().__init__(
            "cityscapes",
            num_classes,
            kinds,
            num_train,
            num_test,
            {"num_classes": num_classes, "image_size": size},
        )
