"""The overlapping digits: what is on the images, and who sees which scan."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from keras_mtl.datasets import multi_digits


@pytest.fixture(scope="module")
def data():
    return multi_digits(3000, 1000, seed=3, return_sources=True)


def test_shapes_types_and_range(data):
    for (x, y), size in zip(data[:2], (3000, 1000), strict=True):
        assert x.shape == (size, 20, 20, 1)
        assert x.dtype == np.float32
        assert x.min() == 0.0 and x.max() == 1.0
        assert list(y) == ["left", "right"]
        for labels in y.values():
            assert labels.shape == (size,)
            assert labels.dtype == np.int32
            assert set(labels) == set(range(10))


def test_no_scan_is_on_both_sides(data):
    train, test = (set(sources.ravel()) for sources in data[2])
    assert not train & test
    digits = load_digits()
    # Equal scans under two numbers would leak as well.
    train, test = (
        {digits.images[scan].tobytes() for scan in side}
        for side in (train, test)
    )
    assert not train & test


def test_most_scans_are_used(data):
    train, test = data[2]
    assert len(np.unique(np.concatenate([train, test]))) > 1700
    assert 500 < len(np.unique(test)) < 560


def test_images_are_the_overlay_of_their_scans(data):
    scans = load_digits().images / 16.0
    labels = load_digits().target
    for (x, y), sources in zip(data[:2], data[2], strict=True):
        for i in (0, 7, len(x) - 1):
            left, right = sources[i]
            assert y["left"][i] == labels[left]
            assert y["right"][i] == labels[right]
            for row in range(20):
                for column in range(20):
                    expected = 0.0
                    if row < 16 and column < 16:
                        expected = scans[left][row // 2, column // 2]
                    if row >= 4 and column >= 4:
                        other = scans[right][(row - 4) // 2, (column - 4) // 2]
                        expected = max(expected, other)
                    assert x[i, row, column, 0] == np.float32(expected)


def test_classes_are_balanced_and_the_tasks_independent(data):
    for _, y in data[:2]:
        counts = np.array([np.bincount(labels) for labels in y.values()])
        share = counts / counts.sum(axis=1, keepdims=True)
        assert np.all(np.abs(share - 0.1) < 0.04)
        assert abs(np.corrcoef(y["left"], y["right"])[0, 1]) < 0.1


def test_seed_decides_everything():
    first, again, other = (
        multi_digits(50, 20, seed=seed, return_sources=True)
        for seed in (1, 1, 2)
    )
    for side in (0, 1):
        np.testing.assert_array_equal(first[side][0], again[side][0])
        np.testing.assert_array_equal(first[2][side], again[2][side])
        assert np.any(first[2][side] != other[2][side])


def test_wants_positive_sizes():
    with pytest.raises(ValueError, match="`num_test` must be a positive"):
        multi_digits(10, 0)
    with pytest.raises(ValueError, match="Received: num_train=2.5"):
        multi_digits(2.5, 10)


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        multi_digits(10, 10)
