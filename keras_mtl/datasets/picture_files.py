"""Reads pictures of any size, of the formats that the data sets have."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

#: By what they are, not by what they are called. Pillow starts a program for
#: others, PostScript for instance.
FORMATS = ("JPEG", "PNG")

#: Pixels of a picture at most. The largest of Office-Home has 6500 x 4900.
MOST_PIXELS = 2**25

#: What Pillow raises for files that are no pictures, or not whole.
BROKEN = (OSError, SyntaxError, ValueError, struct.error, zlib.error)


def read_pictures(
    paths: Sequence[Path],
    image_size: tuple[int, int],
    most_pixels: int = MOST_PIXELS,
) -> np.ndarray:
    """Returns float32 images `[n, height, width, 3]` in [0, 1].

    Args:
        paths: Files.
        image_size: Height and width, to which they are resized, bilinearly.
        most_pixels: What a picture has at most. A file of a few bytes can
            announce more than there is memory for.

    Raises:
        ValueError: If one is no JPEG and no PNG, damaged or too large; names
            it.
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
            # Opening a pipe would wait for somebody to write.
            if path.exists() and not path.is_file():
                raise ValueError("it is no file")
            with Image.open(path, formats=FORMATS) as picture:
                if picture.width * picture.height > most_pixels:
                    raise ValueError(
                        f"it has {picture.width} x {picture.height} pixels, "
                        f"more than {most_pixels}"
                    )
                # Converting would copy what needs no conversion.
                colours = (
                    picture if picture.mode == "RGB" else picture.convert("RGB")
                )
                resized = colours.resize(
                    (width, height), Image.Resampling.BILINEAR
                )
        except FileNotFoundError:
            raise
        except (
            *BROKEN,
            Image.DecompressionBombError,
            # An error where warnings are.
            Image.DecompressionBombWarning,
        ) as error:
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
        most_pixels: What a picture has at most.
    """

    def __init__(self, paths, labels, image_size, most_pixels=MOST_PIXELS):
        self.paths = paths
        self.labels = labels
        self.image_size = image_size
        self.most_pixels = most_pixels

    def __len__(self):
        return len(self.paths)

    def take(self, rows):
        paths = [self.paths[row] for row in rows]
        images = read_pictures(paths, self.image_size, self.most_pixels)
        if isinstance(self.labels, dict):
            return images, {
                task: labels[rows] for task, labels in self.labels.items()
            }
        return images, self.labels[rows]
