"""The table of `deviations.py`."""

from itertools import islice

import keras
import numpy as np
from steps import table

from published import losses
from published import matrices
from published import sequences
from tests.backend_tools import tensor
from tests.golden_data import load

SOURCES = {
    "LibMTL": "LibMTL",
    "exact": "exact solution",
    "fsmtl": "FS-MTL's code",
    "nashmtl": "nash-mtl",
    "torchjd": "TorchJD",
}


def work(limit=None):
    """Prints the table on the backend of the process.

    Args:
        limit: Cases of each variant to take. Defaults to `None`, all.
    """
    dtype = tensor(np.zeros(1)).dtype
    print(f"\n## {keras.backend.backend()}, computed in {dtype}\n")
    compared = {}
    for method, variant, stored, triples in variants():
        key = method, SOURCES[variant.split(".")[0]]
        entry = compared.setdefault(key, {"all": 0, "found": []})
        entry["all"] += stored or 0
        found = [deviation(*triple) for triple in islice(triples, limit)]
        if not found:
            raise ValueError(f"Nothing to compare for {method}, {variant}.")
        entry["all"] += len(found) if stored is None else 0
        entry["found"] += found
    head = "method", "compared with", "cases", "of", "median", "largest"
    lines = [list(head)]
    for (method, source), entry in compared.items():
        found = np.array(entry["found"])
        lines.append(
            [
                *(method, source, f"{len(found)}", f"{entry['all']}"),
                *(f"{np.median(found):.0e}", f"{found.max():.0e}"),
            ]
        )
    print(table.aligned(lines), flush=True)


def deviation(actual, expected, scale):
    error = np.linalg.norm(np.asarray(actual) - expected)
    # Where nothing is expected, as it is.
    return error / scale if scale > 0 else error


def variants():
    """Yields `(method, variant, number of stored values, comparisons)`."""
    for method, file, variant, make, options in matrices.entries():
        triples = matrices.compare(file, variant, make, **options)
        yield method, variant, matrices.stored(file, variant), triples
    for method, file, variant, compare in matrices.drawn():
        stored = matrices.stored(file, variant)
        yield method, variant, stored, compare(file, variant)
    for method, variant, triples in sequences.entries():
        stored = None
        if method.startswith("NashMTL"):
            stored = matrices.stored(sequences.file_of(variant), variant)
        yield method, variant, stored, triples
    for method, variant, compare in losses.entries():
        stored = None
        if variant.startswith("nashmtl.DynamicWeightAverage"):
            values = load("losses")
            stored = sum(
                len(values[key])
                for key in values
                if key.startswith(f"{variant}/") and key.endswith("/grad")
            )
        yield method, variant, stored, losses.compare(compare, variant)
