"""Tuning: what is tuned for whom, on which examples, and what goes on."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_mtl.comparison import supervisor
from keras_mtl.comparison.command import check_work
from keras_mtl.comparison.command import run
from keras_mtl.comparison.command import write_reports
from keras_mtl.comparison.comparison_work import ComparisonWork
from keras_mtl.comparison.data import Data
from keras_mtl.comparison.examples import Arrays
from keras_mtl.comparison.problem import load_data
from keras_mtl.comparison.problem import resolve_strategy
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.tuner import opened_storage
from keras_mtl.comparison.tuning import check_tuning
from keras_mtl.comparison.tuning import space_of
from keras_mtl.comparison.tuning import split
from keras_mtl.comparison.tuning import tuned_names
from tests.comparison.local_worker import LocalWorker

pytest.importorskip("optuna")
pytest.importorskip("torch")

BACKEND = keras.backend.backend()


def settings(**changes):
    given = {
        "model": "comparison_problem:build",
        "dataset": "comparison_problem:load_data",
        "strategies": ("ew", "fs_mtl"),
        "seeds": 1,
        "epochs": 1,
        "batch_size": 16,
        "tune": ("learning_rate",),
        "trials": 2,
        **changes,
    }
    return Settings(backends=(BACKEND,), **given)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("ew", ["learning_rate", "loss_weights"]),
        ("fs_mtl", ["learning_rate", "rho", "loss_weights"]),
        ("fs_mtl(rho=0.1)", ["learning_rate", "loss_weights"]),
        ("pcgrad", ["learning_rate", "loss_weights"]),
        # They weigh the losses themselves.
        ("db_mtl", ["learning_rate"]),
        ("uw", ["learning_rate"]),
        ("scalarization", ["learning_rate", "loss_weights"]),
        ("comparison_problem:with_rho", ["learning_rate", "rho"]),
    ],
)
def test_strategies_are_tuned_in_what_they_have(
    user_folder, strategy, expected
):
    given = settings(tune=("learning_rate", "rho", "loss_weights"))
    assert tuned_names(given, strategy) == expected


def test_ranges():
    given = settings(tune=("learning_rate", "rho"), space={"rho": [0.1, 0.2]})
    sgd, adam = keras.optimizers.SGD(), keras.optimizers.Adam()
    assert space_of(given, "fs_mtl", 2, sgd) == {
        "learning_rate": (1e-3, 1.0),
        "rho": (0.1, 0.2),
    }
    # K weights that add up to K.
    space = space_of(given, "scalarization", 3, adam)
    assert list(space) == ["learning_rate", "loss_weights/0", "loss_weights/1"]
    assert space["learning_rate"] == (1e-4, 0.1)


def test_settings_reach_the_strategy():
    weights = {"loss_weights": [0.5, 1.5]}
    for name in ("ew", "scalarization", "pcgrad", "task_sam", "fs_mtl"):
        found = resolve_strategy(name, weights).balancer.get_config()
        assert list(found["weights"]) == [0.5, 1.5], name
    found = resolve_strategy("fs_mtl(aggregator='mgda')", {"rho": 0.3})
    assert found.flatness.get_config()["rho"] == 0.3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tune": ("roh",)}, "must name .*tune=roh"),
        ({"tune": ("rho",), "strategies": ("ew",)}, "must name .*tune=rho"),
        ({"tune": ("c",), "strategies": ("cagrad",)}, "no range for 'c'"),
        ({"tune": (), "strategies": ("scalarization",)}, "add --tune"),
    ],
)
def test_what_cannot_be_tuned(changes, expected):
    with pytest.raises(ValueError, match=expected):
        check_tuning(settings(**changes))


@pytest.mark.parametrize("space", [{"rho": [1.0, 0.1]}, {"rho": 1}, [1]])
def test_what_is_no_space(space):
    with pytest.raises(ValueError, match=r"space"):
        settings(space=space)


def test_examples_for_validation_are_of_the_training_part():
    x = np.arange(40.0).reshape(20, 2)
    data = Data(Arrays({"in": x}, {"a": x[:, 0]}), Arrays(-x, -x))
    parts = split(data, 0.25)
    assert (parts.train.count, parts.test.count) == (15, 5)
    both = np.concatenate([parts.train.x["in"], parts.test.x["in"]])
    np.testing.assert_array_equal(np.sort(both, axis=0), x)
    np.testing.assert_array_equal(parts.test.y["a"], parts.test.x["in"][:, 0])
    again = split(data, 0.25)
    np.testing.assert_array_equal(again.train.x["in"], parts.train.x["in"])
    with pytest.raises(ValueError, match="leaves none of 20"):
        split(data, 0.99)


class Worker(LocalWorker):
    """Trains in this process; ended in the middle of a trial, if told."""

    #: Number of jobs after which it is killed.
    patience = None

    def identity(self):
        return self.work.prepare()

    def content(self, job):
        if self.patience is not None and len(self.given) > self.patience:
            return None
        return self.work.do(job, lambda epoch, logs: None)


def compare(monkeypatch, given, patience=None):
    monkeypatch.setattr(supervisor, "WorkerProcess", Worker)
    monkeypatch.setattr(Worker, "patience", patience)
    work = ComparisonWork(given)
    check_work(work)
    return run(work, write_reports)


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_the_best_trials_are_run_and_nothing_is_tried_twice(
    user_folder, monkeypatch
):
    import optuna

    given = settings(strategies=("ew", "scalarization"))
    report = user_folder / "report"
    assert compare(monkeypatch, given, patience=1) == 1
    trials = report / "trials"
    before = {it: it.stat().st_mtime_ns for it in trials.iterdir()}
    assert len(before) == 2
    assert compare(monkeypatch, given) == 0
    assert {it: it.stat().st_mtime_ns for it in before} == before
    found = results(report)
    assert [it["strategy"] for it in found["tuning"]] == ["ew", "scalarization"]
    assert [len(it["trials"]) for it in found["tuning"]] == [2, 2]
    _, weighted = found["tuning"]
    best = weighted["trials"][weighted["best"]]
    assert best["value"] == min(it["value"] for it in weighted["trials"])
    assert sum(best["setting"]["loss_weights"]) == pytest.approx(2.0)
    # Trials do not see the examples that runs are tested on.
    record = json.loads((trials / f"{BACKEND}-ew-0.json").read_text())
    assert (record["num_train"], record["num_test"]) == (29, 3)
    assert record["value"] == record["history"][-1]["val_loss"]
    assert [run["num_test"] for run in found["runs"]] == [16, 16]

    # The same without an interruption.
    again = settings(strategies=given.strategies, output="again")
    assert compare(monkeypatch, again) == 0
    assert results(user_folder / "again")["tuning"] == found["tuning"]
    with opened_storage(report / "tuning.db") as storage:
        names = optuna.get_all_study_names(storage)
    assert sorted(names) == [f"{BACKEND}, ew", f"{BACKEND}, scalarization"]
    assert "## Tuning" in (report / "report.md").read_text()
    with pytest.raises(ValueError, match="results with trials=2; now it is 3"):
        compare(monkeypatch, settings(trials=3))


def test_a_budget_and_what_ends_early_are_the_same_after_a_kill(
    user_folder, monkeypatch
):
    # Drawings take most of the time, and are not looked at here.
    monkeypatch.setattr(
        "keras_mtl.comparison.html_report.can_draw", lambda: False
    )
    given = settings(
        strategies=("ew",), epochs=2, budget="13", pruner="halving", trials=1
    )
    assert compare(monkeypatch, given, patience=2) == 1
    trials = user_folder / "report" / "trials"
    before = {it: it.stat().st_mtime_ns for it in trials.iterdir()}
    assert len(before) == 2
    assert compare(monkeypatch, given) == 0
    assert {it: it.stat().st_mtime_ns for it in before} == before
    (found,) = results(user_folder / "report")["tuning"]
    epochs = [it["epochs"] for it in found["trials"]]
    # The last trial is the one that reaches the budget.
    assert sum(epochs) >= 13 > sum(epochs[:-1])
    assert [it["pruned"] for it in found["trials"]] == [it < 2 for it in epochs]
    assert 1 in epochs and not found["trials"][found["best"]]["pruned"]
    again = dataclasses.replace(given, output="again")
    assert compare(monkeypatch, again) == 0
    assert results(user_folder / "again")["tuning"] == [found]


def test_the_best_setting_is_that_of_the_run(user_folder):
    given = settings(strategies=("ew",), output="report")
    work = ComparisonWork(given)
    work.prepare()
    for job in work.reported_jobs()[:2]:
        content = work.do(job, lambda epoch, logs: None)
        path = work.folder.file_of(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    trials = work.folder.finished_trials(given, BACKEND, "ew")
    best = min(trials, key=lambda it: it["value"])
    (job,) = work.reported_jobs()[2:]
    record = json.loads(work.do(job, lambda epoch, logs: None))

    # By hand, as the user would.
    from keras_mtl.comparison.problem import make_model
    from keras_mtl.comparison.random_state import fresh_start

    data = load_data(given)
    fresh_start(0)
    model = make_model(given)
    model.optimizer.learning_rate = best["setting"]["learning_rate"]
    logs = model.fit(
        data.train.x, data.train.y, batch_size=16, strategy="ew", verbose=0
    )
    assert record["history"][0]["loss"] == pytest.approx(
        logs.history["loss"][0], rel=1e-6
    )
