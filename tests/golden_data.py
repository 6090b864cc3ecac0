"""Access to the published values in `tests/data`."""

from functools import cache
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
EPSILON = np.finfo(np.float64).eps


@cache
def load(name):
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as archive:
        return dict(archive)


def groups():
    return sorted({key.split("/")[0] for key in load("matrices")})


def cases(name, variant, skip=()):
    """Yields the cases of a variant that have a value to compare with.

    Args:
        name: File in `tests/data`.
        variant: Variant in the file.
        skip: Regimes to leave out.

    Yields:
        `(label, matrix, losses, get, slack)`: `get(entry)` returns an entry
        for the case, and `slack` is the relative change of the value that
        rounding errors of the matrix explain.
    """
    matrices, values = load("matrices"), load(name)
    for group in groups():
        regimes = matrices[f"{group}/regimes"]
        for row, regime in enumerate(regimes):
            prefix = f"{variant}/{group}"
            ok = values.get(f"{prefix}/ok")
            if regime in skip or (ok is not None and not ok[row]):
                continue
            sensitivity = 0.0
            if f"{prefix}/sens" in values:
                sensitivity = np.nan_to_num(values[f"{prefix}/sens"][row])
            if sensitivity > 1e5:
                continue

            def get(entry, prefix=prefix, row=row):
                return values[f"{prefix}/{entry}"][row]

            yield (
                f"{variant} {group} {regime}",
                matrices[f"{group}/J"][row],
                matrices[f"{group}/L"][row],
                get,
                100 * EPSILON * sensitivity,
            )


def assert_near(actual, expected, tolerance, scale=None, label=""):
    """Compares vectors by norm, relative to `scale`."""
    scale = np.linalg.norm(expected) if scale is None else scale
    error = np.linalg.norm(np.asarray(actual) - expected)
    assert error <= tolerance * max(scale, 1e-300), (
        f"{label}: relative error {error / max(scale, 1e-300):.2e}"
    )
