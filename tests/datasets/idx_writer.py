"""Writes tiny sets of images in the format of MNIST."""

import gzip
import struct

import numpy as np


def idx_bytes(array):
    """An array of bytes as an IDX file, as the format's page has it."""
    header = struct.pack(">BBBB", 0, 0, 0x08, array.ndim)
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return header + sizes + array.astype("uint8").tobytes()


def write_idx(folder, split, images, labels, packed=True):
    """Writes the two files of a split."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = {"train": "train", "test": "t10k"}[split]
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        content = idx_bytes(np.asarray(array))
        path = folder / f"{prefix}-{kind}-ubyte"
        if packed:
            path.with_name(path.name + ".gz").write_bytes(
                gzip.compress(content)
            )
        else:
            path.write_bytes(content)


def random_set(number, seed):
    """Images of which no two are equal, and all labels."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (number, 28, 28), dtype="uint8")
    return images, np.arange(number) % 10
