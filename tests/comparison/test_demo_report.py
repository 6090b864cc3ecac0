"""The demo's table, plot and file, from made-up results."""

import dataclasses
import io
import json

import pytest
from rich.console import Console

from keras_mtl.comparison import demo_report
from keras_mtl.comparison.demo import DemoSettings
from keras_mtl.comparison.summary import summarize
from tests.comparison.made_up import record


def epoch(accuracy, conflicts=0.5):
    return {
        "val_left_accuracy": accuracy,
        "val_right_accuracy": accuracy + 0.02,
        "val_loss": 0.75,
        "loss": 0.375,
        "conflict_ratio": conflicts,
    }


def document(seeds=(0, 1)):
    runs = [
        {
            **record("jax", strategy, seed, []),
            "history": [epoch(0.95, 1.0), epoch(0.9 + 0.02 * seed)],
            "seconds": {"epochs": [60.0, 2.0], "per_epoch": 2.0, "per_step": 1},
        }
        for strategy in ("ew", "fs_mtl")
        for seed in seeds
    ]
    return {
        "settings": dataclasses.asdict(
            DemoSettings(backends=("jax",), strategies=("ew", "fs_mtl"))
        ),
        "summary": summarize(runs),
        "runs": runs,
    }


def printed(found):
    console = Console(file=io.StringIO(), width=80)
    console.print(demo_report.table(found))
    return console.file.getvalue()


def test_last_epoch_counts_not_the_best():
    run = demo_report.run_of(document()["runs"][0])
    assert run["accuracy"] == {"left": 0.9, "right": 0.92}
    assert run["mean_accuracy"] == pytest.approx(0.91)
    assert (run["test_loss"], run["train_loss"]) == (0.75, 0.375)
    assert run["conflict_ratio"] == 0.75
    # Not the first epoch, which compiles.
    assert run["seconds_per_epoch"] == 2.0
    assert run["history"][0] == {**epoch(0.95, 1.0), "seconds": 60.0}


def test_table_fits_a_terminal():
    text = printed(document())
    assert "…" not in text
    for cell in ("fs_mtl", "91.0 ± 1.4", "92.0 ± 1.4", "0.75 ± 0.00", "75"):
        assert cell in text


def test_table_of_one_seed_has_no_deviation():
    text = printed(document(seeds=(0,)))
    assert "±" not in text and "1 seed" in text


def test_plot_is_a_picture(tmp_path):
    demo_report.plot(tmp_path, document())
    picture = (tmp_path / demo_report.PLOT).read_bytes()
    assert picture.startswith(b"\x89PNG")


@pytest.mark.parametrize("number", [1, 4])
def test_runs_that_diverge_at_once_are_no_error(tmp_path, number):
    found = document()
    for run in found["runs"][:number]:
        run.update(history=[], status="diverged")
        run["seconds"].update(epochs=[], per_epoch=None)
    found["summary"] = summarize(found["runs"])
    printed(found)
    demo_report.plot(tmp_path, found)
    demo_report.write_results(tmp_path, found)
    runs = json.loads((tmp_path / demo_report.RESULTS).read_text())["runs"]
    assert runs[0]["accuracy"] == {"left": None, "right": None}


def test_results_say_how_they_were_made(tmp_path):
    demo_report.write_results(tmp_path, document())
    found = json.loads((tmp_path / demo_report.RESULTS).read_text())
    assert found["backend"] == "jax"
    assert found["settings"]["learning_rate"] == 5e-3
    assert [run["seed"] for run in found["runs"]] == [0, 1, 0, 1]
    # The next demo may write there again.
    demo_report.check_output(tmp_path)
