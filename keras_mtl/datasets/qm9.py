"""QM9: eleven regression tasks on small molecules."""

import os

import numpy as np

from keras_mtl.datasets.recipes import read_arrays
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.qm9")
def qm9(
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    num_validation: int = 10_000,
    num_test: int = 10_000,
    standardize: bool = True,
    seed: int = 0,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Reads QM9: 11 properties of 130,831 molecules, a task each.

    The original files, which must be got by hand; the message that says so
    without them has the address. Molecules that the authors could not
    characterise are left out. The division into splits is random, by `seed`.

    Args:
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        data_dir: Folder with the folder `qm9`, with
            `dsgdb9nsd_000001.xyz` and so on, `uncharacterized.txt` and
            `atomref.txt`.
        num_validation: Number of molecules for validation. Defaults to
            `10000`.
        num_test: Number of molecules for testing. Defaults to `10000`.
        standardize: Whether the mean of the training set is taken off the
            targets, and they are divided by its standard deviation. If not,
            they are in the units of the files. Defaults to `True`.
        seed: Seed of the division, an integer of at least 0. Defaults to
            `0`.

    Returns:
        `(x, y)`: a dict of `"charges"`, int32, `(n, 29)`, 0 where there is no
        atom, and `"positions"`, float32, `(n, 29, 3)`, in Angstrom; and
        float32 targets `(n, 1)` by name: `mu`, `alpha`, `homo`, `lumo`,
        `r2`, `zpve`, `u0`, `u`, `h`, `g`, `cv`. The four energies from `u0`
        on are those of atomisation.

    Raises:
        FileNotFoundError: If files are missing.
        ValueError: If a file is not as it should be, or no molecules are
            left to train on.

    Example:

    ```python
    # x, y = keras_mtl.datasets.qm9("test", data_dir="data")
    ```

    References:
        - R. Ramakrishnan, P. O. Dral, M. Rupp and O. A. von Lilienfeld,
            Quantum chemistry structures and properties of 134 kilo molecules,
            Scientific Data 1, 2014.
        - LibMTL, whose targets these are. It standardises by all molecules;
            here, by those of the training set.
    """
    return read_arrays(
        "qm9",
        split,
        data_dir,
        num_validation=num_validation,
        num_test=num_test,
        standardize=standardize,
        seed=seed,
    )
