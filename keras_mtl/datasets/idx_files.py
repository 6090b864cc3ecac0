"""Reads the files in which MNIST and Fashion-MNIST are distributed."""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

SIDE = 28
NUM_CLASSES = 10
PREFIXES = {"train": "train", "test": "t10k"}

#: Images of a file at most: MNIST and Fashion-MNIST have 70,000 in all.
MOST_IMAGES = 70_000

#: Bytes that one byte of a gzip file can stand for, at most.
DEFLATE_RATIO = 1032

# The last two bytes: unsigned bytes, and the number of dimensions.
MAGIC_OF_IMAGES = 0x0803
MAGIC_OF_LABELS = 0x0801


def read_idx_images(
    folder: str | os.PathLike, split: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns images `[n, 28, 28]` of bytes and int32 labels `[n]`.

    Args:
        folder: Where the files of the original distribution are, unpacked or
            not: `train-images-idx3-ubyte.gz` and so on.
        split: `"train"` or `"test"`.
    """
    prefix = PREFIXES[split]
    image_file = _existing(Path(folder), f"{prefix}-images-idx3-ubyte")
    label_file = _existing(Path(folder), f"{prefix}-labels-idx1-ubyte")
    images = _read(image_file, MAGIC_OF_IMAGES, (SIDE, SIDE))
    labels = _read(label_file, MAGIC_OF_LABELS, ())
    if len(labels) != len(images):
        raise ValueError(
            f"{label_file} has {len(labels)} labels, but {image_file} has "
            f"{len(images)} images. They are not of one set."
        )
    if labels.max() >= NUM_CLASSES:
        raise ValueError(
            f"{label_file} must have labels from 0 to {NUM_CLASSES - 1}. "
            f"Found: {labels.max()}"
        )
    return images, labels.astype("int32")


def _existing(folder, name):
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"There is neither {folder / name} nor {name}.gz beside it. Put the "
        "four IDX files of the original distribution into that folder, or "
        "leave `data_dir` out to have them downloaded by TensorFlow Datasets."
    )


def _read(path, magic, sides):
    num_dimensions = magic & 0xFF
    with _opened(path) as file:
        content = _bytes_of(file, path, 4 + 4 * num_dimensions)
        found = int.from_bytes(content[:4], "big")
        if found != magic:
            raise ValueError(
                f"{path} must begin with the magic number {magic:#010x}. "
                f"Found: {found:#010x}"
            )
        shape = tuple(
            int.from_bytes(content[place : place + 4], "big")
            for place in range(4, len(content), 4)
        )
        announced = math.prod(shape)
        # What is not in the file is not made room for.
        most = DEFLATE_RATIO * path.stat().st_size
        if len(shape) < num_dimensions or announced > most:
            raise ValueError(_not_what_follows(path, shape, "too few"))
        # Nor is what nobody needs unpacked.
        if shape[1:] != sides or not 0 < shape[0] <= MOST_IMAGES:
            raise ValueError(
                f"{path} must have 1 to {MOST_IMAGES} images of {SIDE} x "
                f"{SIDE} pixels, or as many labels. Found: an array of shape "
                f"{shape}"
            )
        # One more, to see whether there are.
        values = _bytes_of(file, path, announced + 1)
    if len(values) != announced:
        follow = len(values) if len(values) < announced else "more"
        raise ValueError(_not_what_follows(path, shape, follow))
    return np.frombuffer(values, dtype="uint8").reshape(shape)


def _not_what_follows(path, shape, follow):
    return (
        f"{path} announces an array of shape {shape}, but {follow} bytes "
        "follow. It may be truncated: get it again."
    )


def _opened(path):
    return gzip.open(path) if path.suffix == ".gz" else open(path, "rb")


def _bytes_of(file, path, number):
    """Reads so many bytes, or what there is of them."""
    try:
        return file.read(number)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be unpacked: {error}. Get it again."
        ) from error
