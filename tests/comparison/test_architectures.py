"""Several models in one command: never averaged, never mixed."""

import json

import keras
import pytest

from keras_mtl.__main__ import main
from keras_mtl.comparison import supervisor
from keras_mtl.comparison.answer import differences
from keras_mtl.comparison.architectures import by_place
from keras_mtl.comparison.architectures import joint_document
from keras_mtl.comparison.identity import OtherProblemError
from keras_mtl.comparison.tables import summary_table
from tests.comparison.local_worker import TrainingWorker
from tests.comparison.made_up import document

BACKEND = keras.backend.backend()
WINE = "tests.comparison.wine_problem"
SMALL, LARGE = f"{WINE}:build(units=2)", f"{WINE}:build(units=4)"


def command(tmp_path, *more):
    return [
        "compare",
        *("--model", SMALL, "--model", LARGE),
        *("--dataset", f"{WINE}:load_triples", "--strategies", "ew,pcgrad"),
        *("--seeds", "2", "--epochs", "1", "--batch-size", "48"),
        *("--output", str(tmp_path / "report"), *more),
    ]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr(supervisor, "WorkerProcess", TrainingWorker)


def test_each_model_is_compared_with_itself(tmp_path, capsys):
    assert main(command(tmp_path)) == 0
    folder = tmp_path / "report"
    found = json.loads((folder / "results.json").read_text())
    assert found["settings"]["model"] == [SMALL, LARGE]
    groups = {}
    for run in found["runs"]:
        of_model = groups.setdefault(run["architecture"], {})
        of_model[run["strategy"], run["seed"]] = run["history"][-1]["val_loss"]
    assert list(groups) == [SMALL, LARGE]
    assert len(found["runs"]) == 8 and len(groups[SMALL]) == 4
    assert len({run["parameters"] for run in found["runs"]}) == 2
    shown = [it for it in found["differences"] if it["measure"] == "test_loss"]
    assert [it["architecture"] for it in shown] == [SMALL, LARGE]
    for difference in shown:
        values = groups[difference["architecture"]]
        mean = sum(
            values["pcgrad", seed] - values["ew", seed] for seed in (0, 1)
        )
        assert difference["mean"] == pytest.approx(mean / 2, rel=1e-9)
        assert difference["seeds"] == 2
    report = (folder / "report.md").read_text()
    for model in (SMALL, LARGE):
        assert report.count(model.replace("_", r"\_")) > 2
    lines = (folder / "summary.csv").read_text().splitlines()
    assert lines[0].startswith("architecture,backend,strategy")
    # The same command trains nothing anew.
    capsys.readouterr()
    assert main(command(tmp_path)) == 0
    assert capsys.readouterr().out.count("4 of 4 are done already") == 2
    # One model's comparison is no place for that of several, and vice versa.
    assert main(command(tmp_path, "--model", f"{WINE}:build")) == 0
    single = ["compare", "--model", SMALL, "--dataset", f"{WINE}:load_triples"]
    assert main([*single, "--output", str(folder)]) == 2
    assert "another folder" in capsys.readouterr().err


def joint(**changes):
    documents = []
    for model in ("a:b", "a:c"):
        one = document()
        one["settings"] = {**one["settings"], "model": model, "baseline": "ew"}
        one["tuning"] = []
        one["frontier"] = [{"backend": "jax", "strategy": "scalarization"}]
        one["differences"] = differences(one)
        documents.append(one)
    documents[1]["runs"][0].update(changes)
    return joint_document(documents)


def test_tables_name_the_models():
    shown = by_place(joint())
    assert list(shown["versions"]) == [
        "jax, a:b",
        "torch, a:b",
        "jax, a:c",
        "torch, a:c",
    ]
    rows = [
        tuple(cell.text for cell in row[:2])
        for row in summary_table(shown).rows
    ]
    assert len(set(rows)) == len(rows) == 8
    assert ("torch, a:c", "mgda") in rows
    assert [it["backend"] for it in shown["frontier"]] == [
        "jax, a:b",
        "jax, a:c",
    ]


def test_models_on_other_data_are_not_reported_together():
    with pytest.raises(OtherProblemError, match="a:c has data='other'"):
        joint(data="other")
