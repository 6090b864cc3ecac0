"""Office-31 and Office-Home: a task per domain, pictures of any size."""

import sys

import numpy as np
import pytest

from keras_mtl.datasets import MultiTaskDataset
from keras_mtl.datasets import load
from keras_mtl.datasets import office31
from keras_mtl.datasets import office_home
from tests.datasets.prepared_check import check_prepared

image = pytest.importorskip("PIL.Image")

FOLDERS = {
    "office31": ("amazon/images", "dslr/images", "webcam/images"),
    "office_home": ("Art", "Clipart", "Product", "Real World"),
}
DOMAINS = {
    "office31": ["amazon", "dslr", "webcam"],
    "office_home": ["Art", "Clipart", "Product", "Real_World"],
}
CLASSES = {"office31": 31, "office_home": 65}
FUNCTIONS = {"office31": office31, "office_home": office_home}
SMALL = {"image_size": (4, 6)}


def write(root, name, per_class=(10, 5, 7, 6)):
    """One-coloured pictures: the colour tells domain, class and number."""
    for number, folder in enumerate(FOLDERS[name]):
        for label in range(CLASSES[name]):
            place = root / name / folder / f"class_{label:02}"
            place.mkdir(parents=True)
            for i in range(per_class[number]):
                colour = (10 * number, label, i)
                # PNG keeps colours exactly.
                image.new("RGB", (9 + i, 7), colour).save(place / f"{i}.png")
            (place / "Thumbs.db").write_bytes(b"")


def numbers(x):
    """Domain, class and number of each picture."""
    flat = np.round(255 * x).astype(int)
    assert np.all(flat == flat[:, :1, :1])
    return [tuple(it) for it in flat[:, 0, 0]]


@pytest.fixture(scope="module", params=["office31", "office_home"])
def office(request, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("office")
    write(data_dir, request.param)
    return request.param, data_dir


def test_pictures_are_divided_by_class(office):
    name, data_dir = office
    seen = {domain: [] for domain in DOMAINS[name]}
    for split, share in (("train", 6), ("validation", 2), ("test", 2)):
        domains = FUNCTIONS[name](split, data_dir=data_dir, **SMALL)
        assert list(domains) == DOMAINS[name]
        for number, (domain, (x, y)) in enumerate(domains.items()):
            assert x.shape[1:] == (4, 6, 3) and x.dtype == np.float32
            assert y.dtype == np.int32
            found = numbers(x)
            assert {it[0] for it in found} == {10 * number}
            np.testing.assert_array_equal(y, [it[1] for it in found])
            seen[domain] += found
        # The first domain has ten of each class.
        counts = np.bincount(domains[DOMAINS[name][0]][1])
        np.testing.assert_array_equal(counts, [share] * CLASSES[name])
    for domain, size in zip(DOMAINS[name], (10, 5, 7, 6), strict=False):
        assert len(seen[domain]) == len(set(seen[domain]))
        assert len(seen[domain]) == size * CLASSES[name]


def test_seed_decides_the_division(office):
    name, data_dir = office
    first, again, other = (
        sorted(
            numbers(
                load(name, "test", data_dir=data_dir, seed=seed, **SMALL)[
                    DOMAINS[name][0]
                ][0]
            )
        )
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_is_what_a_multi_task_dataset_takes(office):
    name, data_dir = office
    for form in ("numpy", "pydataset"):
        options = {"batch_size": 16} if form == "pydataset" else {}
        sources = load(
            name, data_dir=data_dir, backend_native=form, **SMALL, **options
        )
        x, y = MultiTaskDataset(sources, batch_size=16)[0]
        for number, domain in enumerate(DOMAINS[name]):
            assert x[domain].shape[1:] == (4, 6, 3)
            found = numbers(x[domain])
            assert {it[0] for it in found} == {10 * number}
            np.testing.assert_array_equal(
                y[domain], [label for _, label, _ in found]
            )


def test_refuses_what_is_not_right(tmp_path):
    with pytest.raises(FileNotFoundError, match="domainadapt"):
        office31()
    write(tmp_path, "office31", (1, 1, 1))
    webcam = tmp_path / "office31" / "webcam"
    broken = webcam / "images" / "class_03" / "0.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="is no picture") as error:
        office31("test", data_dir=tmp_path, **SMALL)
    assert str(broken) in str(error.value)
    (webcam / "images" / "class_31").mkdir()
    with pytest.raises(ValueError, match="31 folders.*Found: 32") as error:
        office31("test", data_dir=tmp_path, **SMALL)
    assert str(webcam / "images") in str(error.value)
    webcam.rename(webcam.with_name("other"))
    with pytest.raises(FileNotFoundError, match="There is no .*webcam"):
        office31("test", data_dir=tmp_path, **SMALL)


def test_says_what_to_install(tmp_path, monkeypatch):
    write(tmp_path, "office31", (1, 1, 1))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'pip install "keras-mtl\[datasets'):
        office31("test", data_dir=tmp_path)


def test_options_of_single_domains_are_not_for_load():
    with pytest.raises(ValueError, match="no option 'domain'"):
        load("office31", domain="amazon")


def test_files_hold_the_same(office, tmp_path):
    name, data_dir = office
    check_prepared(name, tmp_path, data_dir, domain=DOMAINS[name][-1], **SMALL)


def test_refuses_a_class_without_pictures(tmp_path):
    write(tmp_path, "office31", per_class=(1, 1, 1))
    folder = tmp_path / "office31" / "dslr" / "images" / "class_07"
    (folder / "0.png").unlink()
    with pytest.raises(ValueError, match="has no pictures") as error:
        office31("train", data_dir=tmp_path, **SMALL)
    assert str(folder) in str(error.value)
