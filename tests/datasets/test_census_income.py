"""Census-Income in its original layout, packed in every way that it comes."""

import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest

from keras_mtl.datasets import census_income
from keras_mtl.datasets import load
from keras_mtl.datasets.recipes import RECIPES
from tests.datasets.prepared_check import check_prepared


def person(age, education, marital, race, income, wage=0, weight=1700.09):
    """A line as the files have them: 42 columns, a blank after each comma."""
    return ", ".join(
        [
            *(str(age), "Private", "4", "34", education, str(wage)),
            *("Not in universe", marital, "Construction"),
            *("Precision production craft & repair", race, "All other"),
            *("Male", "Not in universe", "Not in universe"),
            *("Children or Armed Forces", "0", "0", "0", "Head of household"),
            *("South", "Arkansas", "Householder", "Householder", str(weight)),
            *("?", "?", "?", "Not in universe under 1 year old", "?", "1"),
            *("Not in universe", "United-States", "?", "United-States"),
            "Foreign born- Not a citizen of U S ",
            *("0", "Not in universe", "2", "52", "94", income),
        ]
    )


TRAIN = [
    person(
        30, "Bachelors degree(BA AB BS)", "Never married", "White", "50000+."
    ),
    person(50, "High school graduate", "Divorced", "Black", "- 50000."),
    person(
        40, "Some college but no degree", "Widowed", "White", "- 50000.", 90
    ),
]
TEST = [person(70, "Children", "Never married", "Other", "- 50000.")]


def content(lines):
    return "".join(f"{line}\n" for line in lines).encode()


FILES = {
    "census-income.data": content(TRAIN),
    "census-income.test": content(TEST),
}


def packed(files):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"census/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


GZIPPED = {f"{name}.gz": gzip.compress(it) for name, it in FILES.items()}
WAYS = {
    "plain": FILES,
    "gzip": GZIPPED,
    "tar": {"census.tar.gz": packed(GZIPPED)},
    "tar of plain files": {"census.tar.gz": packed(FILES)},
    "zip": {"census+income+kdd.zip": zipped(GZIPPED)},
    "tar in zip": {
        "census+income+kdd.zip": zipped({"census.tar.gz": packed(FILES)})
    },
}


@pytest.fixture
def data_dir(tmp_path, request):
    folder = tmp_path / "census_income"
    folder.mkdir()
    files = WAYS[getattr(request, "param", "gzip")]
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("data_dir", WAYS, indirect=True)
def test_columns_and_labels(data_dir):
    x, y = census_income("train", data_dir=data_dir, standardize=False)
    # Age and wage are the first two amounts, weeks worked the last.
    np.testing.assert_array_equal(x["amounts"][:, 0], [30, 50, 40])
    np.testing.assert_array_equal(x["amounts"][:, 1], [0, 0, 90])
    np.testing.assert_array_equal(x["amounts"][:, -1], [52, 52, 52])
    assert x["amounts"].dtype == np.float32 and x["amounts"].shape == (3, 7)
    assert x["categories"].dtype == np.int32
    assert x["categories"].shape == (3, 31)
    labels = {task: values.ravel().tolist() for task, values in y.items()}
    assert labels == {
        "income": [1, 0, 0],
        "never_married": [1, 0, 0],
        "education": [1, 0, 1],
    }
    x_test, y_test = load("census_income", "test", data_dir=data_dir)
    assert [it.item() for it in y_test.values()] == [0, 1, 0]
    # What the training set does not have; of all others the number is theirs.
    unknown = x_test["categories"] == 0
    assert unknown.sum() == 1
    np.testing.assert_array_equal(
        x_test["categories"][~unknown],
        x["categories"][:1][~unknown],
    )


def test_a_number_stands_for_a_value_of_one_column(data_dir):
    codes = census_income("train", data_dir=data_dir)[0]["categories"]
    by_column = [set(column) for column in codes.T.tolist()]
    # One value in each column, and of race two.
    assert sorted(map(len, by_column)) == [1] * 30 + [2]
    assert sorted(set.union(*by_column)) == list(range(1, 33))


def test_amounts_are_standardised_by_the_training_set(data_dir):
    train, test = (
        census_income(it, data_dir=data_dir)[0]["amounts"]
        for it in ("train", "test")
    )
    deviation = np.std([30, 50, 40])
    np.testing.assert_allclose(
        train[:, 0], np.array([-10, 10, 0]) / deviation, rtol=1e-6
    )
    np.testing.assert_allclose(test[0, 0], 30 / deviation, rtol=1e-6)
    # What does not vary is not divided by nothing.
    np.testing.assert_array_equal(train[:, -1], 0)


def broken(line):
    return {"census-income.data": content([TRAIN[0], line])}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (broken(TRAIN[0][:100]), r"Line 2 of census-income.data .* 42 columns"),
        (broken(TRAIN[0].replace("50000+.", "1")), r"- 50000\. or 50000\+\."),
        (broken(TRAIN[0].replace("30", "x", 1)), "Line 2 .* must have numbers"),
        ({"census-income.data": b"\n"}, "is empty"),
        ({"census-income.data.gz": b"no gzip"}, "is damaged"),
        (
            {"census-income.data.gz": GZIPPED["census-income.data.gz"][:40]},
            "dam",
        ),
        ({"census.tar.gz": b"no tar"}, "is damaged"),
        ({"census+income+kdd.zip": b"PK\x03\x04no zip"}, "is damaged"),
        ({"census-income.data": b"\xff\xfe"}, "is damaged"),
    ],
)
def test_damaged_files_are_named(tmp_path, files, expected):
    folder = tmp_path / "census_income"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with pytest.raises(ValueError, match=expected):
        census_income(data_dir=tmp_path)


def test_missing_files_are_told_where_to_get(tmp_path):
    with pytest.raises(FileNotFoundError, match="archive.ics.uci.edu"):
        census_income()
    (tmp_path / "census_income").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no census-income\.data in"):
        census_income(data_dir=tmp_path)


def test_the_archive_itself_will_do(data_dir, tmp_path):
    """As TensorFlow Datasets keep it, under a name of their own."""
    path = tmp_path / "static_public_117_abc"
    path.write_bytes(WAYS["zip"]["census+income+kdd.zip"])
    found = RECIPES["census_income"]().arrays("test", path)
    expected = census_income("test", data_dir=data_dir)
    for array, other in zip(
        found[0].values(), expected[0].values(), strict=True
    ):
        np.testing.assert_array_equal(array, other)


def test_prepared_files(data_dir, tmp_path):
    check_prepared("census_income", tmp_path / "cache", data_dir)


def test_the_builder_downloads_the_archive(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from keras_mtl.datasets.builders.census_income import Builder

    path, asked = tmp_path / "download", []
    path.write_bytes(WAYS["zip"]["census+income+kdd.zip"])

    class Manager:
        def download(self, address):
            asked.append(address)
            return path

    builder = Builder(data_dir=tmp_path / "cache")
    examples = builder._split_generators(Manager())
    assert len(list(examples["train"])) == 3
    assert asked[0].startswith("https://archive.ics.uci.edu/")
