"""All data sets by name."""

from collections.abc import Callable
from functools import partial

from keras_mtl.datasets.celeba_files import CelebAAttributes
from keras_mtl.datasets.digit_pairs import DigitPairs
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
