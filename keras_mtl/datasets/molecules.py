"""Molecules with properties, a regression task each."""

from pathlib import Path

import numpy as np

from keras_mtl.datasets.manual_files import existing_file
from keras_mtl.datasets.manual_files import manual_folder
from keras_mtl.datasets.molecule_files import ATOMISATION
from keras_mtl.datasets.molecule_files import MAX_ATOMS
from keras_mtl.datasets.molecule_files import TARGETS
from keras_mtl.datasets.molecule_files import read_atom_energies
from keras_mtl.datasets.molecule_files import read_molecule
from keras_mtl.datasets.molecule_files import read_uncharacterized
from keras_mtl.datasets.recipe import ArraySpec
from keras_mtl.datasets.recipe import Recipe
from keras_mtl.datasets.task_sources import generator_of

PREFIX = "dsgdb9nsd_"

ROUNDING = 1e-12
"""What float64 leaves of the deviation of equal numbers, relatively."""


class QM9(Recipe):
    """QM9 from its original files.

    Args:
        num_validation: Number of molecules for validation.
        num_test: Number of molecules for testing.
        standardize: Whether targets have mean 0 and deviation 1.
        seed: Seed of the division into splits.
    """

    name = "qm9"
    splits = ("train", "validation", "test")

    def __init__(
        self,
        num_validation: int = 10_000,
        num_test: int = 10_000,
        standardize: bool = True,
        seed: int = 0,
    ):
        super().__init__(
            num_validation=num_validation,
            num_test=num_test,
            standardize=bool(standardize),
            seed=seed,
        )

    def specs(self):
        x = {
            "charges": ArraySpec((MAX_ATOMS,), "int32"),
            "positions": ArraySpec((MAX_ATOMS, 3), "float32"),
        }
        return x, dict.fromkeys(TARGETS, ArraySpec((1,), "float32"))

    def open(self, split, data_dir=None):
        folder = manual_folder(self.name, data_dir)
        x, targets = _read_all(folder)
        rows = self._rows(len(targets), folder)
        if self.options["standardize"]:
            train = targets[rows["train"]]
            mean, deviation = train.mean(axis=0), train.std(axis=0)
            # A target that does not vary, but for rounding, becomes 0.
            deviation[deviation <= ROUNDING * np.abs(mean)] = 1.0
            targets = (targets - mean) / deviation
        return MoleculeSamples(x, targets.astype("float32"), rows[split])

    def _rows(self, number, folder):
        validation = self.options["num_validation"]
        test = self.options["num_test"]
        if validation + test >= number:
            raise ValueError(
                f"{folder} has {number} molecules: with num_validation="
                f"{validation} and num_test={test} none are left to train on."
            )
        order = generator_of(self.options["seed"], self.name, 0)
        test_rows, validation_rows, train_rows = np.split(
            order.permutation(number), [test, test + validation]
        )
        return {
            "train": train_rows,
            "validation": validation_rows,
            "test": test_rows,
        }


class MoleculeSamples:
    """Molecules of a split.

    Args:
        x: Charges and positions of all molecules.
        targets: `[molecules, tasks]`.
        rows: Which molecules are in the split.
    """

    def __init__(self, x, targets, rows):
        self.x = x
        self.targets = targets
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def take(self, rows):
        rows = self.rows[rows]
        x = {name: array[rows] for name, array in self.x.items()}
        y = {
            task: self.targets[rows, column, None]
            for column, task in enumerate(TARGETS)
        }
        return x, y


def _read_all(folder: Path):
    """Inputs and targets `[molecules, tasks]`, in the order of the files."""
    skipped = read_uncharacterized(
        existing_file("qm9", folder / "uncharacterized.txt")
    )
    atoms = read_atom_energies(existing_file("qm9", folder / "atomref.txt"))
    existing_file("qm9", folder / f"{PREFIX}000001.xyz")
    paths = [
        path
        for path in sorted(folder.glob(f"{PREFIX}*.xyz"))
        if _number_of(path) not in skipped
    ]
    charges = np.zeros((len(paths), MAX_ATOMS), "int32")
    positions = np.zeros((len(paths), MAX_ATOMS, 3), "float32")
    targets = np.empty((len(paths), len(TARGETS)))
    for row, path in enumerate(paths):
        molecule = read_molecule(path)
        number = len(molecule.charges)
        charges[row, :number] = molecule.charges
        positions[row, :number] = molecule.positions
        for column, task in enumerate(TARGETS):
            value = molecule.properties[task]
            if task in ATOMISATION:
                value -= sum(atoms[int(it)][task] for it in molecule.charges)
            targets[row, column] = value
    return {"charges": charges, "positions": positions}, targets


def _number_of(path: Path) -> int:
    """Returns the number of a molecule, from the name of its file."""
    text = path.stem.removeprefix(PREFIX)
    if not text.isdecimal():
        raise ValueError(
            f"{path} must be called {PREFIX}, a number, and .xyz. Remove it, "
            "or get the archive again."
        )
    return int(text)
