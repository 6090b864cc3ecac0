"""All data sets by name."""

from collections.abc import Callable
from functools import partial
from typing import Any

from keras_mtl.datasets.celeba_files import CelebAAttributes
from keras_mtl.datasets.census import CensusIncome
from keras_mtl.datasets.digit_pairs import DigitPairs
from keras_mtl.datasets.domain_folders import DOMAINS
from keras_mtl.datasets.domain_folders import DomainFolders
from keras_mtl.datasets.molecules import QM9
from keras_mtl.datasets.npy_folders import Cityscapes
from keras_mtl.datasets.npy_folders import NYUv2
from keras_mtl.datasets.overlaid_pairs import OverlaidPairs
from keras_mtl.datasets.recipe import Recipe
from keras_mtl.datasets.room_samples import RenderedRooms

#: Called with the options of the data set.
RECIPES: dict[str, Callable[..., Recipe]] = {
    "celeba_attributes": CelebAAttributes,
    "census_income": CensusIncome,
    "cityscapes": Cityscapes,
    "multi_digits": DigitPairs,
    "multi_fashion": partial(
        OverlaidPairs, "multi_fashion", "fashion_mnist", "fashion_mnist"
    ),
    "multi_fashion_mnist": partial(
        OverlaidPairs, "multi_fashion_mnist", "mnist", "fashion_mnist"
    ),
    "multi_mnist": partial(OverlaidPairs, "multi_mnist", "mnist", "mnist"),
    "nyuv2": NYUv2,
    "office31": partial(DomainFolders, "office31", 31),
    "office_home": partial(DomainFolders, "office_home", 65),
    "qm9": QM9,
    "rendered_rooms": RenderedRooms,
}


def read_arrays(
    name: str, split: str, data_dir: Any = None, **options: Any
) -> Any:
    """Returns inputs and labels of all samples, by domain if there are such.

    Args:
        name: Name of the data set.
        split: Name of the split.
        data_dir: Folder of the original files, if there are such.
        **options: Options of the data set.
    """
    return by_domain(
        name, lambda recipe: recipe.arrays(split, data_dir), **options
    )


def by_domain(name: str, read: Callable[[Recipe], Any], **options: Any) -> Any:
    """Returns what is read from a data set, by domain if there are such.

    Args:
        name: Name of the data set.
        read: Called with the recipe of the data set, or of each domain.
        **options: Options of the data set.
    """
    if name not in DOMAINS:
        return read(RECIPES[name](**options))
    return {
        domain: read(RECIPES[name](domain=domain, **options))
        for domain in DOMAINS[name]
    }
