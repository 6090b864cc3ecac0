"""Reading the files of MNIST: what is in them, and what they must not be."""

import gzip
import tracemalloc

import numpy as np
import pytest

from keras_mtl.datasets.idx_files import read_idx_images
from tests.datasets.idx_writer import idx_bytes
from tests.datasets.idx_writer import random_set
from tests.datasets.idx_writer import write_idx


@pytest.mark.parametrize("packed", [True, False])
def test_reads_what_was_written(tmp_path, packed):
    expected = {"train": random_set(12, 0), "test": random_set(11, 1)}
    for split, data in expected.items():
        write_idx(tmp_path, split, *data, packed=packed)
    for split, (images, labels) in expected.items():
        found_images, found_labels = read_idx_images(tmp_path, split)
        np.testing.assert_array_equal(found_images, images)
        np.testing.assert_array_equal(found_labels, labels)
        assert found_images.dtype == np.uint8
        assert found_labels.dtype == np.int32


def test_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="four IDX files") as error:
        read_idx_images(tmp_path, "test")
    assert str(tmp_path / "t10k-images-idx3-ubyte") in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3", idx_bytes(np.zeros(10)), "0x00000803"),
        ("train-images-idx3", b"\0\7", "Found: 0x00000007"),
        (
            "train-images-idx3",
            idx_bytes(np.zeros((10, 28, 27))),
            r"28 x 28 pixels.*Found: an array of shape \(10, 28, 27\)",
        ),
        (
            "train-images-idx3",
            idx_bytes(np.zeros((10, 28, 28)))[:-5],
            "7835 bytes follow. It may be truncated",
        ),
        (
            "train-images-idx3",
            idx_bytes(np.zeros((0, 28, 28))),
            r"Found: an array of shape \(0, 28, 28\)",
        ),
        (
            "train-images-idx3",
            b"\0\0\x08\3" + 3 * b"\xff\xff\xff\xff",
            "too few bytes follow",
        ),
        ("train-images-idx3", b"\0\0\x08\3\0\0", "too few bytes follow"),
        (
            "train-images-idx3",
            idx_bytes(np.zeros((10, 28, 28))) + b"\0",
            "more bytes follow",
        ),
        ("train-labels-idx1", idx_bytes(np.zeros(9)), "has 9 labels, but"),
        ("train-labels-idx1", idx_bytes(np.full(10, 255)), "Found: 255"),
        ("train-labels-idx1", idx_bytes(np.full(10, 10)), "Found: 10"),
    ],
)
def test_refuses_what_is_not_right(tmp_path, name, content, message):
    write_idx(tmp_path, "train", *random_set(10, 0), packed=False)
    path = tmp_path / f"{name}-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_idx_images(tmp_path, "train")
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "content",
    # Without the time: names of tests are equal in all processes.
    [b"no gzip", gzip.compress(idx_bytes(np.zeros(10)), mtime=0)[:-9]],
)
def test_refuses_archives_that_are_broken(tmp_path, content):
    write_idx(tmp_path, "train", *random_set(10, 0))
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be unpacked") as error:
        read_idx_images(tmp_path, "train")
    assert str(path) in str(error.value)


def damaged(content):
    """Yields what may become of a packed file on its way."""
    for part in (0.0, 0.01, 0.5, 0.99):
        yield content[: int(part * len(content))]
    for place in (0, 3, 40, len(content) // 2, len(content) - 6):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        yield bytes(changed)


def test_refuses_damaged_archives(tmp_path):
    write_idx(tmp_path, "train", *random_set(10, 0))
    path = tmp_path / "train-images-idx3-ubyte.gz"
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ValueError) as error:
            read_idx_images(tmp_path, "train")
        assert str(path) in str(error.value)


def test_does_not_unpack_more_than_is_announced(tmp_path):
    """10 MB of zeros in 10 kB, behind a header of ten images."""
    write_idx(tmp_path, "train", *random_set(10, 0))
    path = tmp_path / "train-images-idx3-ubyte.gz"
    content = idx_bytes(np.zeros((10, 28, 28))) + bytes(10_000_000)
    path.write_bytes(gzip.compress(content))
    tracemalloc.start()
    with pytest.raises(ValueError, match="more bytes follow"):
        read_idx_images(tmp_path, "train")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000


def test_does_not_unpack_more_than_is_needed(tmp_path):
    """60 MB of zeros in 60 kB: more images than there are of MNIST."""
    write_idx(tmp_path, "train", *random_set(10, 0))
    path = tmp_path / "train-images-idx3-ubyte.gz"
    header = b"\0\0\x08\3" + b"".join(
        size.to_bytes(4, "big") for size in (80_000, 28, 28)
    )
    path.write_bytes(gzip.compress(header + bytes(80_000 * 28 * 28), 1))
    tracemalloc.start()
    with pytest.raises(ValueError, match="1 to 70000 images") as error:
        read_idx_images(tmp_path, "train")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(path) in str(error.value) and most < 1_000_000
