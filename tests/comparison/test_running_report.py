"""Reports while runs go on: often enough, and never much of the time."""

import json

import pytest

from keras_mtl.comparison import command
from keras_mtl.comparison import supervisor
from keras_mtl.comparison.running_report import RunningReport
from tests.comparison import test_tuning


def test_they_take_little_of_the_time():
    time, written = [0.0], []

    def write():
        written.append(time[0])
        time[0] += 2.0

    report = RunningReport(write, lambda: time[0])
    for _ in range(100):
        report()
        time[0] += 1.0
    # The first at once, then with 2 s / 0.05 between end and beginning.
    assert written == [0.0, 42.0, 84.0]


def test_what_is_done_is_there_before_the_end(user_folder, monkeypatch):
    pytest.importorskip("optuna")
    given = test_tuning.settings(strategies=("ew",), seeds=2)
    path, seen = user_folder / "report" / "results.json", []

    class Worker(test_tuning.Worker):
        def content(self, job):
            if path.exists():
                found = json.loads(path.read_text())
                trials = [len(it["trials"]) for it in found["tuning"]]
                counts = len(found["runs"]), len(found["missing"])
                seen.append((job.trial, job.seed, trials, *counts))
            return super().content(job)

    monkeypatch.setattr(supervisor, "WorkerProcess", Worker)
    # Drawings are the most of a report, and are not looked at here.
    monkeypatch.setattr(
        "keras_mtl.comparison.html_report.can_draw", lambda: False
    )
    monkeypatch.setattr("keras_mtl.comparison.running_report.SHARE", 1e9)
    work = test_tuning.ComparisonWork(given)
    assert command.run(work, command.write_reports, command.write_texts) == 0
    # This worker does its job at once, before it is reported on.
    assert seen == [(None, 0, [2], 0, 2), (None, 1, [2], 1, 1)]
    assert len(json.loads(path.read_text())["runs"]) == 2
