"""Overlaid pairs: what is on them, whose they are, and where they are from."""

import sys
import types

import numpy as np
import pytest

from keras_mtl.datasets import load
from keras_mtl.datasets import multi_fashion
from keras_mtl.datasets import multi_fashion_mnist
from keras_mtl.datasets import multi_mnist
from tests.datasets.idx_writer import random_set
from tests.datasets.idx_writer import write_idx
from tests.datasets.prepared_check import check_prepared

NUMBERS = {"train": 30, "test": 20}
FUNCTIONS = {
    multi_mnist: ("mnist", "mnist"),
    multi_fashion: ("fashion_mnist", "fashion_mnist"),
    multi_fashion_mnist: ("mnist", "fashion_mnist"),
}


@pytest.fixture(scope="module")
def originals():
    return {
        (name, split): random_set(number, seed)
        for seed, (name, split, number) in enumerate(
            (name, split, number)
            for name in ("mnist", "fashion_mnist")
            for split, number in NUMBERS.items()
        )
    }


@pytest.fixture(scope="module")
def data_dir(originals, tmp_path_factory):
    folder = tmp_path_factory.mktemp("idx")
    for (name, split), data in originals.items():
        write_idx(folder / name, split, *data)
    return folder


def sources_of(images, originals):
    """Which original is on the top left of each image, by its first rows."""
    # Nothing of the other corner is in the first eight rows.
    keys = {scan[:8].tobytes(): i for i, scan in enumerate(originals)}
    return [
        keys[np.round(image[:8, :28, 0] * 255).astype("uint8").tobytes()]
        for image in images
    ]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("split", NUMBERS)
def test_images_are_the_overlay_of_originals(
    function, split, data_dir, originals
):
    x, y = function(split, data_dir=data_dir, num_train=75, num_test=45)
    size = {"train": 75, "test": 45}[split]
    assert x.shape == (size, 36, 36, 1) and x.dtype == np.float32
    assert list(y) == ["left", "right"]
    left, right = (originals[name, split] for name in FUNCTIONS[function])
    # Turned around, the bottom right corner is on the top left.
    left_rows = sources_of(x, left[0])
    right_rows = sources_of(x[:, ::-1, ::-1], right[0][:, ::-1, ::-1])
    np.testing.assert_array_equal(y["left"], left[1][left_rows])
    np.testing.assert_array_equal(y["right"], right[1][right_rows])
    assert y["left"].dtype == y["right"].dtype == np.int32
    for row in (0, size // 2, size - 1):
        canvas = np.zeros((2, 36, 36))
        canvas[0, :28, :28] = left[0][left_rows[row]]
        canvas[1, 8:, 8:] = right[0][right_rows[row]]
        expected = (canvas.max(axis=0) / 255).astype("float32")
        np.testing.assert_array_equal(x[row, ..., 0], expected)


def test_every_original_is_used_equally_often(data_dir, originals):
    x, _ = multi_mnist(data_dir=data_dir, num_train=75)
    images, _ = originals["mnist", "train"]
    for corner, scans in (
        (x, images),
        (x[:, ::-1, ::-1], images[:, ::-1, ::-1]),
    ):
        counts = np.bincount(sources_of(corner, scans), minlength=30)
        assert set(counts) == {2, 3}


def test_seed_decides_everything(data_dir):
    first, again, other = (
        multi_mnist(data_dir=data_dir, num_train=40, seed=seed)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first[0], again[0])
    assert np.any(first[1]["left"] != other[1]["left"])
    assert np.any(first[1]["right"] != other[1]["right"])


def test_load_gives_the_same(data_dir):
    x, y = load("multi_fashion", "test", data_dir=data_dir, num_test=7, seed=3)
    expected = multi_fashion("test", data_dir=data_dir, num_test=7, seed=3)
    np.testing.assert_array_equal(x, expected[0])
    np.testing.assert_array_equal(y["right"], expected[1]["right"])


def test_default_sizes_are_the_published_ones(data_dir):
    assert len(load("multi_mnist", "test", data_dir=data_dir)[0]) == 20_000
    batches = load(
        "multi_mnist",
        data_dir=data_dir,
        backend_native="pydataset",
        batch_size=256,
    )
    assert len(batches.samples) == 120_000
    assert len(batches) == 469


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_train": 0}, "`num_train` must be an integer, at least 1"),
        ({"num_test": 2.5}, "Received: num_test=2.5"),
        ({"seed": -1}, "`seed` must be an integer, at least 0"),
        ({"split": "val"}, "`split` must be one of"),
    ],
)
def test_arguments_are_checked(options, message, data_dir):
    with pytest.raises(ValueError, match=message):
        multi_mnist(data_dir=data_dir, **options)


def test_without_a_folder_tfds_downloads(monkeypatch, originals):
    images, labels = originals["mnist", "test"]

    def data_source(name, split):
        assert (name, split) == ("mnist", "test")
        return [
            {"image": image[..., None], "label": label}
            for image, label in zip(images, labels, strict=True)
        ]

    package = types.SimpleNamespace(data_source=data_source)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", package)
    x, y = multi_mnist("test", num_test=20)
    rows = sources_of(x, images)
    assert sorted(rows) == list(range(20))
    np.testing.assert_array_equal(y["left"], labels[rows])


def test_says_what_to_put_where_if_there_is_no_network(monkeypatch):
    def data_source(name, split):
        raise ConnectionError("no route")

    package = types.SimpleNamespace(data_source=data_source)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", package)
    with pytest.raises(FileNotFoundError, match="FOLDER/mnist") as error:
        multi_mnist()
    assert "no route" in str(error.value)


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r'pip install "keras-mtl\[datasets'):
        multi_mnist()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_files_hold_the_same(function, data_dir, tmp_path):
    check_prepared(
        function.__name__, tmp_path, data_dir, num_train=9, num_test=7
    )
