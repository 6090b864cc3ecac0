"""Pictures in a folder per domain, and in it a folder per class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_mtl.arguments import checked_choice
from keras_mtl.datasets.manual_files import INSTRUCTIONS
from keras_mtl.datasets.manual_files import manual_folder
from keras_mtl.datasets.picture_files import PictureSamples
from keras_mtl.datasets.recipe import ArraySpec
from keras_mtl.datasets.recipe import Recipe
from keras_mtl.datasets.task_sources import generator_of

#: The domains, which are the tasks, and the folders of their classes.
DOMAINS = {
    "office31": {
        "amazon": "amazon/images",
        "dslr": "dslr/images",
        "webcam": "webcam/images",
    },
    "office_home": {
        "Art": "Art",
        "Clipart": "Clipart",
        "Product": "Product",
        "Real_World": "Real World",
    },
}

SUFFIXES = {".jpg", ".jpeg", ".png"}


class DomainFolders(Recipe):
    """One domain of Office-31 or Office-Home.

    Args:
        name: Name of the data set, and of its folder.
        num_classes: Number of classes that every domain must have.
        domain: Name of the domain.
        image_size: Height and width to which pictures are resized.
        seed: Seed of the division into splits.
    """

    splits = ("train", "validation", "test")

    def __init__(
        self,
        name: str,
        num_classes: int,
        domain: str,
        image_size: Sequence[int] = (224, 224),
        seed: int = 0,
    ):
        super().__init__(
            domain=checked_choice("domain", domain, tuple(DOMAINS[name])),
            image_size=image_size,
            seed=seed,
        )
        self.name = name
        self.num_classes = num_classes

    def specs(self):
        size = self.options["image_size"]
        return ArraySpec((*size, 3), "float32"), ArraySpec((), "int32")

    def open(self, split, data_dir=None):
        domain = self.options["domain"]
        root = manual_folder(self.name, data_dir)
        folder = root / DOMAINS[self.name][domain]
        classes = self._classes(folder)
        generator = generator_of(self.options["seed"], domain, 0)
        paths, labels = [], []
        for number, name in enumerate(classes):
            pictures = [
                path
                for path in sorted((folder / name).iterdir())
                if path.suffix.lower() in SUFFIXES
            ]
            if not pictures:
                raise ValueError(
                    f"{folder / name} has no pictures. Get the archive again."
                )
            order = generator.permutation(len(pictures))
            for row in _share(order, split):
                paths.append(pictures[row])
                labels.append(number)
        size = self.options["image_size"]
        return PictureSamples(paths, np.array(labels, "int32"), size)

    def _classes(self, folder: Path) -> list[str]:
        if not folder.is_dir():
            raise FileNotFoundError(
                f"There is no {folder}. {INSTRUCTIONS[self.name]}"
            )
        classes = sorted(it.name for it in folder.iterdir() if it.is_dir())
        if len(classes) != self.num_classes:
            raise ValueError(
                f"{folder} must have {self.num_classes} folders, one a class. "
                f"Found: {len(classes)}"
            )
        return classes


def _share(order: np.ndarray, split: str) -> np.ndarray:
    """60 %, 20 % and the rest, class by class."""
    train = 6 * len(order) // 10
    validation = train + 2 * len(order) // 10
    return {
        "train": order[:train],
        "validation": order[train:validation],
        "test": order[validation:],
    }[split]
