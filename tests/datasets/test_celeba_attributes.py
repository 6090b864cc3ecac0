"""CelebA in its original files."""

import numpy as np
import pytest

from keras_mtl.datasets import celeba_attributes
from keras_mtl.datasets.celeba_files import ATTRIBUTES
from tests.datasets.prepared_check import check_prepared

image = pytest.importorskip("PIL.Image")

# The splits of the pictures, in the order of their names.
PARTS = [0, 0, 0, 2, 1, 0, 2]


@pytest.fixture
def celeba(tmp_path):
    folder = tmp_path / "celeba"
    pictures = folder / "img_align_celeba"
    pictures.mkdir(parents=True)
    signs = np.random.default_rng(0).choice([-1, 1], (len(PARTS), 40))
    names = [f"{i + 1:06}.jpg" for i in range(len(PARTS))]
    for i, name in enumerate(names):
        # Grey survives JPEG to within a few steps of 255.
        image.new("RGB", (178, 218), (30 * i,) * 3).save(pictures / name)
    rows = [
        f"{name} " + " ".join(f"{sign:2d}" for sign in row)
        for name, row in zip(names, signs, strict=True)
    ]
    (folder / "list_attr_celeba.txt").write_text(
        "\n".join([str(len(PARTS)), " ".join(ATTRIBUTES) + " ", *rows]) + "\n"
    )
    (folder / "list_eval_partition.txt").write_text(
        "".join(f"{n} {p}\n" for n, p in zip(names, PARTS, strict=True))
    )
    return tmp_path, signs


@pytest.mark.parametrize(
    "split, part", [("train", 0), ("validation", 1), ("test", 2)]
)
def test_pictures_have_their_attributes(celeba, split, part):
    data_dir, signs = celeba
    x, y = celeba_attributes(split, data_dir=data_dir, image_size=(12, 10))
    rows = np.flatnonzero(np.array(PARTS) == part)
    assert x.shape == (len(rows), 12, 10, 3)
    grey = np.round(x.mean(axis=(1, 2, 3)) * 255 / 30)
    np.testing.assert_array_equal(grey, rows)
    assert list(y) == list(ATTRIBUTES) and len(y) == 40
    found = np.stack([y[name] for name in ATTRIBUTES], axis=1)
    np.testing.assert_array_equal(found, signs[rows] == 1)
    assert found.dtype == np.int32


def test_size_is_that_of_the_papers(celeba):
    x, _ = celeba_attributes("test", data_dir=celeba[0])
    assert x.shape == (2, 64, 64, 3)


def test_refuses_what_is_not_right(celeba):
    data_dir, _ = celeba
    path = data_dir / "celeba" / "list_attr_celeba.txt"
    text = path.read_text()
    for wrong, message in (
        (text.replace("Smiling", "Laughing"), "40 attributes"),
        (text.replace("000002.jpg", "000002.jpg 1"), "Line 4 of"),
        (text.replace("000002.jpg", "000099.jpg"), "no attributes of '000002"),
    ):
        path.write_text(wrong)
        with pytest.raises(ValueError, match=message) as error:
            celeba_attributes(data_dir=data_dir)
        assert str(path) in str(error.value)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="list_attr_celeba.txt"):
        celeba_attributes(data_dir=data_dir)
    with pytest.raises(FileNotFoundError, match="mmlab"):
        celeba_attributes()


def test_files_hold_the_same(celeba, tmp_path):
    check_prepared(
        "celeba_attributes",
        tmp_path / "cache",
        celeba[0],
        image_size=(12, 10),
    )
