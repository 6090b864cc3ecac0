"""QM9 in its original files: a text file per molecule."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_mtl.datasets.text_files import read_lines

CHARGES = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}

MAX_ATOMS = 29

# Behind "gdb" and the number, in the second line.
COLUMNS = "A B C mu alpha homo lumo gap r2 zpve u0 u h g cv".split()

#: The tasks: those of LibMTL, in the order of the columns.
TARGETS = tuple("mu alpha homo lumo r2 zpve u0 u h g cv".split())

#: Energies from which those of the single atoms are taken off.
ATOMISATION = ("u0", "u", "h", "g")


#: The samples are float32.
LARGEST = float(np.finfo("float32").max)


class Molecule(NamedTuple):
    """One file.

    Attributes:
        charges: `[atoms]`, the elements.
        positions: `[atoms, 3]`, in Angstrom.
        properties: By name of the column.
    """

    charges: np.ndarray
    positions: np.ndarray
    properties: dict[str, float]


def read_molecule(path: Path) -> Molecule:
    """Reads a file of QM9, or raises `ValueError` that names it."""
    lines = read_lines(path)
    try:
        num_atoms = int(lines[0])
        values = lines[1].split()[2:]
        properties = dict(
            zip(COLUMNS, (float(value) for value in values), strict=True)
        )
        atoms = [line.split() for line in lines[2 : 2 + num_atoms]]
        charges = [CHARGES[atom[0]] for atom in atoms]
        positions = [[_number(it) for it in atom[1:4]] for atom in atoms]
        if not 0 < len(charges) == num_atoms <= MAX_ATOMS:
            raise ValueError(f"{len(charges)} of {num_atoms} atoms")
        if any(len(position) != 3 for position in positions):
            raise ValueError("an atom has no three coordinates")
        numbers = [*sum(positions, []), *properties.values()]
        if not np.all(np.abs(numbers) <= LARGEST):
            raise ValueError("a number is not finite")
    except (IndexError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is no molecule of QM9: {error}. Get the archive again."
        ) from error
    return Molecule(
        np.array(charges, "int32"), np.array(positions, "float32"), properties
    )


def read_atom_energies(path: Path) -> dict[int, dict[str, float]]:
    """Returns u0, u, h and g of single atoms by charge, from atomref.txt."""
    energies = {}
    for line in read_lines(path):
        words = line.split()
        if words and words[0] in CHARGES and len(words) >= 6:
            try:
                # Behind the element and its zero-point energy.
                values = [float(word) for word in words[2:6]]
                if not np.all(np.abs(values) <= LARGEST):
                    raise ValueError("a number is not finite")
            except ValueError as error:
                raise ValueError(
                    f"{path} must have numbers behind {words[0]}: {error}"
                ) from error
            energies[CHARGES[words[0]]] = dict(
                zip(ATOMISATION, values, strict=True)
            )
    if len(energies) != len(CHARGES):
        raise ValueError(
            f"{path} must have a line for each of {', '.join(CHARGES)}. "
            f"Found: {len(energies)} of them."
        )
    return energies


def read_uncharacterized(path: Path) -> set[int]:
    """Returns numbers of molecules to leave out, from uncharacterized.txt."""
    rows = (line.split() for line in read_lines(path))
    # The last line says how many "compounds" there are.
    return {
        int(words[0])
        for words in rows
        if len(words) > 2 and words[0].isdecimal()
    }


def _number(word):
    """Some exponents are written by Mathematica: 6.8*^-6."""
    return float(word.replace("*^", "e"))
