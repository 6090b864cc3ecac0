"""Reads pictures of any format and size."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

#: What Pillow raises for files that are no pictures, or not whole.
BROKEN = (OSError, SyntaxError, ValueError, struct.error, zlib.error)


def read_pictures(
    paths: Sequence[Path], image_size: tuple[int, int]
) -> np.ndarray:
    """Returns float32 images `[n, height, width, 3]` in [0, 1].

    Args:
        paths: Files.
        image_size: Height and width, to which they are resized, bilinearly.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Reading pictures needs Pillow. Install it with "
            '`pip install "keras-mtl[datasets]"`.'
        ) from error
    height, width = image_size
    images = np.empty((len(paths), height, width, 3), dtype="float32")
    for place, path in enumerate(paths):
        try:
            with Image.open(path) as picture:
                resized = picture.convert("RGB").resize(
                    (width, height), Image.Resampling.BILINEAR
                )
        except FileNotFoundError:
            raise
        except (*BROKEN, Image.DecompressionBombError) as error:
            raise ValueError(
                f"{path} is no picture that can be read: {error}. Get it again."
            ) from error
        images[place] = np.asarray(resized, dtype="float32") / 255.0
    return images


class PictureSamples:
    """Pictures that are read when they are asked for.

    Args:
        paths: Their files.
        labels: An array, or a dict of them by task.
        image_size: Height and width.
    """

    def __init__(self, paths, labels, image_size):
        self.paths = paths
        self.labels = labels
        self.image_size = image_size

    def __len__(self):
        return len(self.paths)

    def take(self, rows):
        paths = [self.paths[row] for row in rows]
        images = read_pictures(paths, self.image_size)
        if isinstance(self.labels, dict):
            return images, {
                task: labels[rows] for task, labels in self.labels.items()
            }
        return images, self.labels[rows]
