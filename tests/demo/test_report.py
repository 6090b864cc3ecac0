"""The demo's table, plot and file, from made-up results."""

import io
import json

import pytest
from rich.console import Console

from keras_mtl.demo import report
from keras_mtl.demo.run import Settings
from keras_mtl.demo.run import summarize


def epoch(accuracy, seconds=2.0, conflicts=0.5):
    return {
        "val_left_accuracy": accuracy,
        "val_right_accuracy": accuracy + 0.02,
        "val_left_loss": 0.25,
        "val_right_loss": 0.5,
        "left_loss": 0.125,
        "right_loss": 0.25,
        "conflict_ratio": conflicts,
        "seconds": seconds,
    }


@pytest.fixture
def results():
    return [
        summarize(
            strategy,
            seed,
            ["left", "right"],
            [epoch(0.95, 60.0, 1.0), epoch(0.9 + 0.02 * seed)],
        )
        for strategy in ("ew", "fs_mtl")
        for seed in (0, 1)
    ]


def printed(results):
    console = Console(file=io.StringIO(), width=80)
    console.print(report.table(results))
    return console.file.getvalue()


def test_last_epoch_counts_not_the_best(results):
    assert results[0]["accuracy"] == {"left": 0.9, "right": 0.92}
    assert results[0]["mean_accuracy"] == pytest.approx(0.91)
    assert results[0]["test_loss"] == 0.75
    assert results[0]["train_loss"] == 0.375
    assert results[0]["conflict_ratio"] == 0.75
    # Not the first epoch, which compiles.
    assert results[0]["seconds_per_epoch"] == 2.0


def test_spread_over_seeds(results):
    mean, deviation = report.spread(
        results, "ew", lambda run: run["accuracy"]["left"]
    )
    assert mean == pytest.approx(0.91)
    assert deviation == pytest.approx(0.02 / 2**0.5)


def test_table_fits_a_terminal(results):
    text = printed(results)
    assert "…" not in text
    for cell in ("fs_mtl", "91.0 ± 1.4", "92.0 ± 1.4", "0.75 ± 0.00", "75"):
        assert cell in text


def test_table_of_one_seed_has_no_deviation(results):
    text = printed([run for run in results if run["seed"] == 0])
    assert "±" not in text and "1 seed" in text


def test_plot_is_a_picture(results, tmp_path):
    report.plot(tmp_path / "plot.png", results)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_results_say_how_they_were_made(results, tmp_path):
    path = tmp_path / "results.json"
    report.write_results(path, Settings(), results, "1.2.3")
    document = json.loads(path.read_text())
    assert document["keras_mtl"] == "1.2.3"
    assert document["settings"]["learning_rate"] == Settings().learning_rate
    assert document["runs"] == results
    # The next demo may write there again.
    report.check_output(tmp_path)
