"""CelebA in its original files."""

import zlib

import numpy as np
import pytest

from keras_mtl.datasets import celeba_attributes
from keras_mtl.datasets.celeba_files import ATTRIBUTES
from keras_mtl.datasets.picture_files import read_pictures
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


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("list_eval_partition.txt", lambda text: "", "no picture of the split"),
        ("list_eval_partition.txt", lambda text: "000001.jpg", "Line 1 of"),
        (
            "list_eval_partition.txt",
            lambda text: text.replace(" 2", " 3"),
            "and 0, 1 or 2. Found: '000004.jpg 3'",
        ),
        (
            "list_eval_partition.txt",
            lambda text: text.replace("000004", "../../000004"),
            "name of a file in img_align_celeba",
        ),
        (
            "list_eval_partition.txt",
            lambda text: text.replace("000004", "..\\000004"),
            "name of a file in img_align_celeba",
        ),
        ("list_eval_partition.txt", lambda text: text + "\udcff", "no text"),
        ("list_attr_celeba.txt", lambda text: "", "40 attributes"),
        ("list_attr_celeba.txt", lambda text: text + "\n\n", "Line 10 of"),
        ("list_attr_celeba.txt", lambda text: text + "\udcff", "no text"),
        ("img_align_celeba/000004.jpg", lambda text: "", "no picture that"),
        ("img_align_celeba/000004.jpg", lambda text: "GIF89a", "no picture"),
    ],
)
def test_refuses_damaged_files(celeba, name, change, message):
    path = celeba[0] / "celeba" / name
    text = path.read_text(errors="surrogateescape")
    path.write_text(change(text), errors="surrogateescape")
    with pytest.raises(ValueError, match=message) as error:
        celeba_attributes("test", data_dir=celeba[0])
    assert str(path) in str(error.value)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_refuses_half_a_picture(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    values = np.random.default_rng(0).integers(0, 255, (40, 40, 3), "uint8")
    image.fromarray(values).save(path)
    content = path.read_bytes()
    for part in (0.0, 0.02, 0.2, 0.6):
        path.write_bytes(content[: int(part * len(content))])
        with pytest.raises(ValueError, match="no picture that") as error:
            read_pictures([path], (4, 4))
        assert str(path) in str(error.value)


def test_refuses_a_picture_of_a_million_by_a_million(tmp_path):
    path = tmp_path / "picture.png"
    image.new("L", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    # Width and height, and their check sum, in the header of a PNG.
    content[16:24] = 2 * (10**6).to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no picture that.*decompression bomb"):
        read_pictures([path], (4, 4))
