"""The example of `compare` on the census, on a few rows of that form."""

import importlib.util

import numpy as np
from sklearn.datasets import load_wine

from tests.examples.notebook_builder import EXAMPLES


def put_tables(folder):
    """Rows in the layout of UCI's files, made of other data."""
    wine = load_wine()
    number = np.round(wine.data).astype(int)
    lines = []
    for row, kind in zip(number, wine.target, strict=True):
        fields = [row[0], "ab"[kind % 2], row[3], "HS", row[9] + 4]
        fields += [
            ("Divorced", "Never-married")[int(kind == 1)],
            "ab"[row[0] % 2],
        ]
        fields += ["Wife", "ab"[row[1] % 2], "ab"[row[2] % 2], row[4], row[5]]
        fields += [row[12], "ab"[kind // 2], (">50K", "<=50K")[int(kind > 0)]]
        lines.append(", ".join(map(str, fields)))
    (folder / "adult.data").write_text("\n".join(lines[:120]) + "\n\n")
    ends = [f"{line}." for line in lines[120:]]
    text = "\n".join(["|1x3 Cross validator", *ends])
    (folder / "adult.test").write_text(f"{text}\n")


def test_census(tmp_path, monkeypatch):
    put_tables(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = EXAMPLES / "census.py"
    spec = importlib.util.spec_from_file_location("census", path)
    census = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(census)
    problem = census.load_data()
    # All of so few rows are for training.
    x, y, weights = problem.train
    assert x.shape == (178, 4 + 5 * 2) and np.isfinite(x).all()
    assert set(np.unique(y["income"])) == {0.0, 1.0}
    assert np.isnan(y["degree"]).mean() == np.mean(np.arange(178) % 10 < 7)
    assert all(
        np.allclose(it * 2e5, weights["income"] * 2e5)
        for it in weights.values()
    )
    np.testing.assert_allclose(y["single"], load_wine().target == 1)
    model = census.build(experts=2)
    assert model.tasks == list(y)
