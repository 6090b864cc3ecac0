"""NYUv2 and Cityscapes in the layout of MTAN."""

import io
import pickle

import numpy as np
import pytest

from keras_mtl.datasets import cityscapes
from keras_mtl.datasets import load
from keras_mtl.datasets import nyuv2
from tests.datasets.prepared_check import check_prepared

SIZE = (6, 8)
NUMBERS = {"train": 12, "val": 3}
OPTIONS = {"image_size": SIZE, "num_train": 12, "num_test": 3}


def write(root, folders):
    """Writes files with the dtypes of the published archives: float."""
    generator = np.random.default_rng(0)
    written = {}
    for part, number in NUMBERS.items():
        for folder, channels in folders.items():
            (root / part / folder).mkdir(parents=True)
            for i in range(number):
                shape = SIZE if channels is None else (*SIZE, channels)
                array = generator.random(shape)
                if channels is None:
                    array = np.floor(8 * array) - 1.0
                np.save(root / part / folder / f"{i}.npy", array)
                written[part, folder, i] = array
    return written


@pytest.fixture
def nyu(tmp_path):
    folders = {"image": 3, "label": None, "depth": 1, "normal": 3}
    return tmp_path, write(tmp_path / "nyuv2", folders)


@pytest.mark.parametrize("split, part", [("train", "train"), ("test", "val")])
def test_nyuv2_is_what_the_files_hold(nyu, split, part):
    data_dir, written = nyu
    x, y = nyuv2(split, data_dir=data_dir, **OPTIONS)
    assert list(y) == ["segmentation", "depth", "normal"]
    folders = {"segmentation": "label", "depth": "depth", "normal": "normal"}
    for i in range(NUMBERS[part]):
        # Not the order of names, in which 10 is before 2.
        np.testing.assert_array_equal(
            x[i], written[part, "image", i].astype("float32")
        )
        for task, folder in folders.items():
            expected = written[part, folder, i].astype(y[task].dtype)
            np.testing.assert_array_equal(y[task][i], expected)
    assert x.shape == (NUMBERS[part], *SIZE, 3) and x.dtype == np.float32
    assert y["segmentation"].dtype == np.int32
    assert y["segmentation"].min() == -1
    assert y["depth"].shape == (NUMBERS[part], *SIZE, 1)
    assert y["normal"].dtype == np.float32


def test_batches_read_their_own_files_only(nyu):
    data_dir, written = nyu
    batches = load(
        "nyuv2",
        data_dir=data_dir,
        backend_native="pydataset",
        batch_size=5,
        shuffle=False,
        **OPTIONS,
    )
    for path in (data_dir / "nyuv2" / "train" / "normal").glob("*.npy"):
        if path.stem not in ("10", "11"):
            path.unlink()
    x, y = batches[2]
    assert len(x) == 2
    np.testing.assert_array_equal(
        y["normal"][1], written["train", "normal", 11].astype("float32")
    )


@pytest.mark.parametrize("num_classes", [7, 19])
def test_cityscapes_has_labels_of_either_kind(tmp_path, num_classes):
    folders = {"image": 3, f"label_{num_classes}": None, "depth": 1}
    written = write(tmp_path / "cityscapes", folders)
    x, y = cityscapes(
        "test", data_dir=tmp_path, num_classes=num_classes, **OPTIONS
    )
    assert list(y) == ["segmentation", "depth"]
    assert x.shape == (3, *SIZE, 3)
    np.testing.assert_array_equal(
        y["segmentation"][2], written["val", f"label_{num_classes}", 2]
    )


@pytest.mark.parametrize(
    ("path", "array", "message"),
    [
        ("train/depth/4.npy", np.zeros(SIZE), r"\(6, 8, 1\). Found: \(6, 8\)"),
        ("train/label/4.npy", np.full(SIZE, 13), "0 to 12.*Found: 13 to 13"),
        ("train/label/4.npy", np.full(SIZE, -2), "Found: -2 to -2"),
    ],
)
def test_refuses_files_that_are_not_right(nyu, path, array, message):
    data_dir, _ = nyu
    np.save(data_dir / "nyuv2" / path, array)
    with pytest.raises(ValueError, match=message) as error:
        nyuv2(data_dir=data_dir, **OPTIONS)
    assert str(data_dir / "nyuv2" / path) in str(error.value)


def test_refuses_another_number_of_files(nyu):
    data_dir, _ = nyu
    with pytest.raises(ValueError, match="795 files. Found: 12.*num_train=12"):
        nyuv2(data_dir=data_dir, image_size=SIZE)


def test_says_what_to_get(nyu):
    data_dir, _ = nyu
    with pytest.raises(FileNotFoundError, match="by itself.*lorenmt/mtan"):
        nyuv2()
    with pytest.raises(FileNotFoundError, match="data_dir=FOLDER") as error:
        cityscapes(data_dir=data_dir)
    assert str(data_dir / "cityscapes") in str(error.value)
    path = data_dir / "nyuv2" / "train" / "normal" / "3.npy"
    path.rename(path.with_name("12.npy"))
    with pytest.raises(FileNotFoundError, match="There is no .*3.npy"):
        nyuv2(data_dir=data_dir, **OPTIONS)


def test_classes_of_cityscapes_are_7_or_19():
    with pytest.raises(ValueError, match=r"must be one of \(7, 19\)"):
        cityscapes(num_classes=2)


def test_files_hold_the_same(nyu, tmp_path):
    check_prepared("nyuv2", tmp_path / "cache", nyu[0], **OPTIONS)


def test_files_of_cityscapes_hold_the_same(tmp_path):
    write(tmp_path / "cityscapes", {"image": 3, "label_7": None, "depth": 1})
    check_prepared("cityscapes", tmp_path / "cache", tmp_path, **OPTIONS)


def header_of(shape, dtype="<f8"):
    """The beginning of a .npy file, without the numbers."""
    described = {"descr": dtype, "fortran_order": False, "shape": shape}
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, described)
    return content.getvalue()


def literal(text):
    """A .npy file whose header is that."""
    line = text.encode() + b"\n"
    return b"\x93NUMPY\2\0" + len(line).to_bytes(4, "little") + line


def archive():
    content = io.BytesIO()
    np.savez(content, np.zeros(SIZE))
    return content.getvalue()


def saved(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


WHOLE = saved(np.zeros(SIZE))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WHOLE[:5],
        WHOLE[:60],
        WHOLE[:-1],
        b"\x92" + WHOLE[1:],
        header_of((10**12,)),
        header_of((10**30, 10**30)),
        header_of((-1, 8)),
        header_of(SIZE, "|O") + pickle.dumps([0] * 48),
        literal("(" * 9000),
        literal("{'descr': " + "-" * 9000 + "1}"),
        literal("{[]: 1}"),
        literal("{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}"),
        archive(),
        saved(np.full(SIZE, "0")),
        saved(np.zeros((8, 6))),
        saved(np.full(SIZE, 255)),
        saved(np.full(SIZE, np.nan)),
        saved(np.full(SIZE, 0.5)),
    ],
)
def test_refuses_damaged_files(nyu, content):
    data_dir, _ = nyu
    path = data_dir / "nyuv2" / "val" / "label" / "1.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        nyuv2("test", data_dir=data_dir, **OPTIONS)
    assert str(path) in str(error.value)
