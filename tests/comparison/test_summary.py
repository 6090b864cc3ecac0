"""Numbers over the seeds, against NumPy."""

import csv
import io

import numpy as np
import pytest

from keras_mtl.comparison.summary import measures_of
from keras_mtl.comparison.summary import summarize
from keras_mtl.comparison.tables import summary_csv
from tests.comparison.made_up import document
from tests.comparison.made_up import record


def test_the_last_epoch_counts():
    measures = measures_of(record("jax", "ew", 0, [0.9, 0.5]))
    assert measures["test_loss"] == 1.5
    assert measures["train_loss"] == 0.5
    assert measures["test_left_accuracy"] == 0.5
    assert measures["test_mean_accuracy"] == pytest.approx(0.55)
    # Over all epochs.
    assert measures["conflict_ratio"] == pytest.approx(0.7)
    assert measures["seconds_per_step"] == 0.25


def test_means_need_the_metric_of_every_task():
    run = record("jax", "ew", 0, [0.9])
    del run["history"][0]["val_right_accuracy"]
    assert "test_mean_accuracy" not in measures_of(run)
    assert "test_left_accuracy" in measures_of(run)


def test_spread_is_numpys():
    values = [0.25, 0.5, 0.625]
    runs = [record("jax", "ew", i, [v]) for i, v in enumerate(values)]
    (row,) = summarize([*runs])
    spread = row["measures"]["test_left_accuracy"]
    assert row["runs"] == 3 and row["diverged"] == 0
    assert spread["mean"] == pytest.approx(np.mean(values), rel=1e-12)
    assert spread["standard_deviation"] == pytest.approx(
        np.std(values, ddof=1), rel=1e-12
    )


def test_one_run_has_no_deviation():
    (row,) = summarize([record("jax", "ew", 0, [0.5])])
    assert row["measures"]["test_left_accuracy"] == {
        "mean": 0.5,
        "standard_deviation": None,
    }


def test_what_is_not_finite_is_not_averaged_away():
    good, bad = record("jax", "ew", 0, [0.5]), record("jax", "ew", 1, [0.5])
    bad["history"][0]["val_left_accuracy"] = None
    (row,) = summarize([good, bad])
    assert row["measures"]["test_left_accuracy"]["mean"] is None
    bad["status"] = "diverged"
    (row,) = summarize([good, bad])
    assert row["measures"]["test_left_accuracy"]["mean"] == 0.5
    assert row["runs"] == 2 and row["diverged"] == 1


def test_csv_has_full_numbers():
    found = document()
    lines = list(csv.DictReader(io.StringIO(summary_csv(found))))
    rows = {(it["backend"], it["strategy"], it["measure"]): it for it in lines}
    for row in found["summary"]:
        for name, spread in row["measures"].items():
            line = rows.pop((row["backend"], row["strategy"], name))
            assert float(line["mean"]) == spread["mean"]
    assert not rows
