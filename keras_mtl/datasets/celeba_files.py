"""CelebA in its original files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_mtl.datasets.manual_files import existing_file
from keras_mtl.datasets.manual_files import manual_folder
from keras_mtl.datasets.picture_files import PictureSamples
from keras_mtl.datasets.recipe import ArraySpec
from keras_mtl.datasets.recipe import Recipe
from keras_mtl.datasets.text_files import read_lines

FOLDER = "celeba"

#: Pixels of a picture at most. The aligned ones have 178 x 218.
MOST_PIXELS = 2**20

ATTRIBUTES = tuple(
    """
    5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs
    Big_Lips Big_Nose Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows
    Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup
    High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard
    Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns
    Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat
    Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
    """.split()
)


class CelebAAttributes(Recipe):
    """The attributes of CelebA, a binary task each.

    Args:
        image_size: Height and width to which pictures are resized.
    """

    name = "celeba_attributes"
    splits = ("train", "validation", "test")

    def __init__(self, image_size: Sequence[int] = (64, 64)):
        super().__init__(image_size=image_size)

    def specs(self):
        size = self.options["image_size"]
        label = ArraySpec((), "int32")
        return ArraySpec((*size, 3), "float32"), dict.fromkeys(
            ATTRIBUTES, label
        )

    def open(self, split, data_dir=None):
        folder = manual_folder(FOLDER, data_dir)
        parts = _partition(
            existing_file(FOLDER, folder / "list_eval_partition.txt")
        )
        attributes = _attributes(
            existing_file(FOLDER, folder / "list_attr_celeba.txt")
        )
        wanted = self.splits.index(split)
        names = [name for name, part in parts.items() if part == wanted]
        if not names:
            raise ValueError(
                f"{folder / 'list_eval_partition.txt'} has no picture of the "
                f"split {split!r}. Get it again."
            )
        unknown = [name for name in names if name not in attributes]
        if unknown:
            raise ValueError(
                f"{folder / 'list_attr_celeba.txt'} has no attributes of "
                f"{unknown[0]!r}, which is in list_eval_partition.txt. Get "
                "both again."
            )
        signs = np.array([attributes[name] for name in names])
        labels = (signs > 0).astype("int32").reshape(-1, len(ATTRIBUTES))
        return PictureSamples(
            [folder / "img_align_celeba" / name for name in names],
            dict(zip(ATTRIBUTES, labels.T, strict=True)),
            self.options["image_size"],
            MOST_PIXELS,
        )


def _partition(path):
    """Numbers of the splits by name of the picture."""
    parts = {}
    for number, line in enumerate(read_lines(path), 1):
        words = line.split()
        if len(words) != 2 or words[1] not in ("0", "1", "2"):
            raise ValueError(
                f"Line {number} of {path} must have the name of a picture and "
                f"0, 1 or 2. Found: {line[:60]!r}"
            )
        # The name becomes a path; it must not lead elsewhere.
        if Path(words[0]).name != words[0] or "\\" in words[0]:
            raise ValueError(
                f"Line {number} of {path} must have the name of a file in "
                f"img_align_celeba. Found: {words[0][:60]!r}"
            )
        parts[words[0]] = int(words[1])
    return parts


def _attributes(path):
    """Lists of -1 and 1 by name of the picture."""
    lines = read_lines(path)
    header = lines[1] if len(lines) > 1 else ""
    if tuple(header.split()) != ATTRIBUTES:
        raise ValueError(
            f"The second line of {path} must have the 40 attributes of "
            f"CelebA. Found: {header[:60]!r}"
        )
    table = {}
    for number, line in enumerate(lines[2:], 3):
        name, *signs = line.split() or [""]
        if len(signs) != len(ATTRIBUTES) or not set(signs) <= {"-1", "1"}:
            raise ValueError(
                f"Line {number} of {path} must have 40 numbers, -1 or 1, "
                f"behind the name of the picture. Found: {line[:60]!r}"
            )
        table[name] = [int(sign) for sign in signs]
    return table
