"""Data sets by name: all forms hold the same samples."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_mtl.datasets import MultiTaskDataset
from keras_mtl.datasets import load
from keras_mtl.datasets import multi_digits
from keras_mtl.datasets import names

SIZES = {"num_train": 70, "num_test": 30}


def digits(split="train", **options):
    return load("multi_digits", split, **SIZES, **options)


def test_names_are_sorted_and_known():
    assert list(names()) == sorted(names())
    assert {"multi_digits", "multi_mnist"} <= set(names())


@pytest.mark.parametrize("form", [None, "numpy"])
@pytest.mark.parametrize("place, split", [(0, "train"), (1, "test")])
def test_arrays_are_those_of_the_function(form, place, split):
    expected_x, expected_y = multi_digits(70, 30, seed=4)[place]
    x, y = digits(split, backend_native=form, seed=4)
    np.testing.assert_array_equal(x, expected_x)
    for task in ("left", "right"):
        np.testing.assert_array_equal(y[task], expected_y[task])


def test_batches_of_an_epoch_are_all_samples():
    x, y = digits()
    batches = digits(backend_native="pydataset", batch_size=32)
    assert isinstance(batches, keras.utils.PyDataset)
    parts = [batches[index] for index in range(len(batches))]
    assert [len(part[0]) for part in parts] == [32, 32, 6]
    given = {
        image.tobytes(): (left, right)
        for part in parts
        for image, left, right in zip(
            part[0], part[1]["left"], part[1]["right"], strict=True
        )
    }
    expected = {
        image.tobytes(): (y["left"][i], y["right"][i])
        for i, image in enumerate(x)
    }
    assert len(expected) == 70
    assert given == expected


def test_only_training_batches_are_shuffled_unless_told():
    def first_epochs(split, **options):
        batches = digits(split, backend_native="pydataset", **options)
        first = batches[0][0]
        batches.on_epoch_end()
        return first, batches[0][0]

    x, _ = digits()
    first, second = first_epochs("train")
    assert np.any(first != x[:32])
    assert np.any(first != second)
    again = first_epochs("train")
    np.testing.assert_array_equal(first, again[0])
    np.testing.assert_array_equal(second, again[1])
    for image in first_epochs("train", shuffle=False):
        np.testing.assert_array_equal(image, x[:32])
    for image in first_epochs("test"):
        np.testing.assert_array_equal(image, digits("test")[0])


def test_seed_decides_the_order():
    first, other = (
        digits(backend_native="pydataset", batch_size=70, seed=seed)[0][0]
        for seed in (0, 1)
    )
    assert np.any(first != other)


def test_batches_beyond_the_last_are_refused():
    batches = digits(backend_native="pydataset")
    with pytest.raises(IndexError, match="There are 3 batches"):
        batches[3]


def test_batches_are_a_source_of_a_task():
    batches = digits("test", backend_native="pydataset", batch_size=8)
    samples = [
        (x, y["left"]) for x, y in (batches[i] for i in range(len(batches)))
    ]

    class Left(keras.utils.PyDataset):
        def __len__(self):
            return len(samples)

        def __getitem__(self, index):
            return samples[index]

    dataset = MultiTaskDataset({"left": Left()}, shuffle=False)
    np.testing.assert_array_equal(dataset[1][1]["left"], samples[1][1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": "multi_mnits"},
            "Unknown data set: .*Did you mean 'multi_mnist'",
        ),
        ({"split": "validation"}, "`split` must be one of"),
        ({"backend_native": "torch"}, "`backend_native` must be one of"),
        ({"num_samples": 3}, "no option 'num_samples' with.*num_train, seed"),
        ({"batch_size": 3}, "'batch_size' with backend_native=None"),
        (
            {"backend_native": "pydataset", "batch_size": 0},
            "`batch_size` must be an integer, at least 1",
        ),
        (
            {"backend_native": "pydataset", "cache_dir": "."},
            "no option 'cache_dir'.*batch_size.*shuffle",
        ),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**{"name": "multi_digits", **arguments})


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r'pip install "keras-mtl\[datasets'):
        digits(backend_native="tf")


def by_image(samples):
    return {
        np.asarray(x).tobytes(): {task: int(y[task]) for task in sorted(y)}
        for x, y in samples
    }


def test_tf_data_holds_the_same_samples(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("tensorflow")
    x, y = digits()
    dataset = digits(
        backend_native="tf", cache_dir=tmp_path, batch_size=None, seed=0
    )
    samples = list(dataset.as_numpy_iterator())
    expected = by_image(
        (image, {task: labels[i] for task, labels in y.items()})
        for i, image in enumerate(x)
    )
    assert by_image(samples) == expected
    batches = digits("test", backend_native="tf", cache_dir=tmp_path)
    x, y = next(batches.as_numpy_iterator())
    assert x.shape == (30, 20, 20, 1) and x.dtype == np.float32
    assert y["left"].shape == (30,) and y["left"].dtype == np.int32


PROGRAM = """
import importlib.machinery, sys
class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "jax"):
            return None
        return super().find_spec(name, path, target)
sys.meta_path[:] = [
    Finder if it is importlib.machinery.PathFinder else it
    for it in sys.meta_path
]
import numpy as np
import tensorflow_datasets as tfds
tfds.disable_progress_bar()
import keras_mtl.datasets.builders.multi_digits
source = tfds.data_source(
    "mtl_multi_digits", split="test", data_dir=sys.argv[1],
    builder_kwargs={
        "num_train": 5, "num_test": 9, "file_format": "array_record"
    },
)
x, y = keras_mtl.datasets.load(
    "multi_digits", "test", num_train=5, num_test=9
)
expected = {image.tobytes(): int(y["left"][i]) for i, image in enumerate(x)}
found = {it["x"].tobytes(): int(it["y"]["left"]) for it in source}
assert found == expected and len(found) == 9
assert "tensorflow" not in sys.modules
print("read", len(found))
"""


def test_files_are_written_and_read_without_tensorflow(tmp_path):
    for package in ("tensorflow_datasets", "array_record", "torch"):
        pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "read 9" in done.stdout


def test_options_have_files_of_their_own(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from keras_mtl.datasets.builders.multi_digits import Builder

    paths = {
        Builder(seed=seed, num_test=size, data_dir=tmp_path).data_path
        for seed in (0, 1)
        for size in (10, 20)
    }
    assert len(paths) == 4
