"""QM9 in its original files, as the archive has them."""

import numpy as np
import pytest

from keras_mtl.datasets import load
from keras_mtl.datasets import qm9
from tests.datasets.prepared_check import check_prepared

NUMBER = 12

# The first molecule of the archive, methane.
METHANE = """5
gdb 1\t157.7118\t157.70997\t157.70699\t0.\t13.21\t-0.3877\t0.1171\t0.5048\t\
35.3641\t0.044749\t-40.47893\t-40.476062\t-40.475117\t-40.498597\t6.469\t
C\t-0.0126981359\t 1.0858041578\t 0.0080009958\t-0.535689
H\t 0.002150416\t-0.0060313176\t 0.0019761204\t 0.133921
H\t 1.0117308433\t 1.4637511618\t 0.0002765748\t 0.133922
H\t-0.540815069\t 1.4475266138\t-0.8766437152\t 0.133923
H\t-0.5238136345\t 1.4379326443\t 6.8*^-6\t 0.133923
1341.307\t1341.3284\t1341.365\t1562.6731\t1562.7453\t3038.3205
C\tC\t
InChI=1S/CH4/h1H4\tInChI=1S/CH4/h1H4
"""

# As in atomref.txt: zero-point energy, U0, U, H, G and, of most, Cv.
ATOMS = """Reference energies
Ele-    ZPVE         U (0 K)      U (298.15 K)    H (298.15 K)    G (298.15 K)
=========================================================================
H\t0.000000\t-0.500273\t-0.498857\t-0.497912\t-0.510927\t2.981
C\t0.000000\t-37.846772\t-37.845355\t-37.844411\t-37.861317\t2.981
N\t0.000000\t-54.583861\t-54.582445\t-54.581501\t-54.598897\t2.981
O\t0.000000\t-75.064579\t-75.063163\t-75.062219\t-75.079532\t2.981
F\t0.000000\t-99.718730\t-99.717314\t-99.716370\t-99.733544\t2.981
=========================================================================
"""

LEFT_OUT = """Molecules that failed the consistency check
number   smiles   InChI
=======
     5   C1CC1   C1CC1   InChI=1S/C3H6
     7   CC      CC      InChI=1S/C2H6
2 compounds
"""


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "qm9"
    folder.mkdir()
    for i in range(1, NUMBER + 1):
        # mu tells the number of the molecule.
        text = METHANE.replace("\t0.\t", f"\t{i}.\t")
        (folder / f"dsgdb9nsd_{i:06}.xyz").write_text(text)
    (folder / "atomref.txt").write_text(ATOMS)
    (folder / "uncharacterized.txt").write_text(LEFT_OUT)
    return tmp_path


def small(split, data_dir, **options):
    return qm9(
        split, data_dir=data_dir, num_validation=2, num_test=3, **options
    )


def test_methane(data_dir):
    x, y = small("train", data_dir, standardize=False)
    assert x["charges"].shape == (5, 29) and x["positions"].shape == (5, 29, 3)
    np.testing.assert_array_equal(x["charges"][0, :6], [6, 1, 1, 1, 1, 0])
    np.testing.assert_allclose(
        x["positions"][0, 0],
        [-0.0126981359, 1.0858041578, 0.0080009958],
        rtol=1e-6,
    )
    np.testing.assert_allclose(x["positions"][0, 4, 2], 6.8e-6, rtol=1e-6)
    assert np.all(x["positions"][:, 5:] == 0)
    assert list(y) == "mu alpha homo lumo r2 zpve u0 u h g cv".split()
    expected = {
        "alpha": 13.21,
        "homo": -0.3877,
        "lumo": 0.1171,
        "r2": 35.3641,
        "zpve": 0.044749,
        # Methane is bound with 395.999595 kcal/mol, says the paper's table.
        "u0": -395.999595 / 627.509474,
        "h": -40.475117 + 37.844411 + 4 * 0.497912,
        "cv": 6.469,
    }
    for task, value in expected.items():
        assert y[task].shape == (5, 1) and y[task].dtype == np.float32
        np.testing.assert_allclose(y[task], value, rtol=2e-6)


def test_splits_are_of_what_is_not_left_out(data_dir):
    parts = [
        small(split, data_dir, standardize=False)[1]["mu"].ravel()
        for split in ("train", "validation", "test")
    ]
    assert [len(part) for part in parts] == [5, 2, 3]
    assert sorted(np.concatenate(parts)) == [1, 2, 3, 4, 6, 8, 9, 10, 11, 12]
    again, other = (
        small("test", data_dir, standardize=False, seed=seed)[1]["mu"].ravel()
        for seed in (0, 1)
    )
    np.testing.assert_array_equal(parts[2], again)
    assert np.any(parts[2] != other)


def test_targets_are_standardised_by_the_training_set(data_dir):
    train, test = (
        small(split, data_dir, standardize=False)[1]["mu"]
        for split in ("train", "test")
    )
    for split in ("train", "test"):
        _, y = small(split, data_dir)
        raw = {"train": train, "test": test}[split]
        expected = (raw - train.mean()) / train.std()
        np.testing.assert_allclose(y["mu"], expected, rtol=1e-5, atol=1e-6)
        # All molecules are the same in this.
        np.testing.assert_allclose(y["alpha"], 0, atol=1e-6)


def test_batches_are_those_rows(data_dir):
    options = {"data_dir": data_dir, "num_validation": 2, "num_test": 3}
    expected_x, expected_y = load("qm9", "test", **options)
    x, y = load("qm9", "test", backend_native="pydataset", **options)[0]
    np.testing.assert_array_equal(x["positions"], expected_x["positions"])
    np.testing.assert_array_equal(y["u0"], expected_y["u0"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("5\ngdb", "6\ngdb"),
        ("C\t-0.0127", "X\t-0.0127"),
        ("\t6.469\t", "\t"),
        ("13.21", "13,21"),
        ("5\ngdb", "30\ngdb"),
    ],
)
def test_refuses_what_is_no_molecule(data_dir, old, new):
    path = data_dir / "qm9" / THIRD
    text = path.read_text()
    path.write_text(text.replace("-0.0126981359", "-0.0127").replace(old, new))
    with pytest.raises(ValueError, match="is no molecule of QM9") as error:
        small("train", data_dir)
    assert str(path) in str(error.value)


def test_says_what_is_missing(data_dir):
    with pytest.raises(FileNotFoundError, match="figshare"):
        qm9()
    with pytest.raises(ValueError, match="has 10 molecules.*none are left"):
        qm9(data_dir=data_dir)
    path = data_dir / "qm9" / "atomref.txt"
    path.write_text(ATOMS.replace("\nN\t", "\nNe\t"))
    with pytest.raises(ValueError, match="Found: 4 of them") as error:
        small("train", data_dir)
    assert str(path) in str(error.value)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="atomref.txt"):
        small("train", data_dir)


def test_files_hold_the_same(data_dir, tmp_path):
    check_prepared(
        "qm9", tmp_path / "cache", data_dir, num_validation=2, num_test=3
    )


THIRD = "dsgdb9nsd_000003.xyz"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (THIRD, lambda text: ""),
        (THIRD, lambda text: text[:100]),
        (
            THIRD,
            lambda text: text.replace("5", str(10**12), 1),
        ),
        (THIRD, lambda text: text.replace("5", "-1", 1)),
        (THIRD, lambda text: text.replace("13.21", "nan")),
        (THIRD, lambda text: text.replace("C\t-0.01", "X\t0")),
        (
            THIRD,
            lambda text: text.replace("6.8*^-6", "9*^999"),
        ),
        # Finite, but not in float32.
        (THIRD, lambda text: text.replace("6.8*^-6", "9*^99")),
        (
            THIRD,
            lambda text: text.replace(" 1.0858041578\t 0.0080009958\t", ""),
        ),
        (THIRD, lambda text: text + "\udcff"),
        ("atomref.txt", lambda text: text.replace("-0.500273", "much")),
        ("atomref.txt", lambda text: text.replace("-0.500273", "nan")),
        ("atomref.txt", lambda text: text + "\udcff"),
        ("uncharacterized.txt", lambda text: text + "\udcff"),
        ("dsgdb9nsd_best.xyz", lambda text: METHANE),
    ],
)
def test_refuses_damaged_files(data_dir, name, change):
    path = data_dir / "qm9" / name
    text = path.read_text() if path.exists() else ""
    # A lone surrogate becomes a byte that is no text.
    path.write_text(change(text), errors="surrogateescape")
    with pytest.raises(ValueError) as error:
        small("train", data_dir)
    assert str(path) in str(error.value)
