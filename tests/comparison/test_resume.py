"""The whole command, also when it is killed: in processes of its own."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import keras
import pytest

from keras_mtl.__main__ import main
from tests.comparison.conftest import put_module
from tests.processes import PATIENCE
from tests.processes import children
from tests.processes import is_alive
from tests.processes import wait_until

BACKEND = keras.backend.backend()


def arguments(output="report", **changes):
    given = {
        "backends": BACKEND,
        "strategies": "ew,pcgrad",
        "dataset": "comparison_problem:load_data",
        "model": "comparison_problem:build",
        "seeds": "1",
        "epochs": "2",
        "batch-size": "8",
        "output": str(output),
        **changes,
    }
    pairs = [(f"--{name}", value) for name, value in given.items()]
    return ["compare", *(item for pair in pairs for item in pair)]


def start(folder, *more):
    return subprocess.Popen(
        [sys.executable, "-m", "keras_mtl", *more],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )


def without_times(path):
    """What results.json says, without the times."""

    def strip(value):
        if isinstance(value, dict):
            return {
                name: strip(item)
                for name, item in value.items()
                if not name.startswith("seconds")
            }
        return [strip(it) for it in value] if isinstance(value, list) else value

    return strip(json.loads((path / "results.json").read_text()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with the results of a run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    put_module(folder)
    process = start(folder, *arguments())
    assert process.wait(PATIENCE) == 0
    return folder / "report"


def test_what_is_written(whole):
    names = {path.name for path in whole.iterdir()}
    assert names >= {"results.json", "summary.csv", "report.md", "report.html"}
    # Of backends that compile to files: JAX.
    programs = list(whole.glob("compiled/*/*train_step*"))
    assert bool(programs) == (BACKEND == "jax")
    found = json.loads((whole / "results.json").read_text())
    assert found["schema"] == 1 and found["missing"] == []
    assert found["versions"][BACKEND]["keras"] == keras.__version__
    assert [(run["strategy"], run["seed"]) for run in found["runs"]] == [
        ("ew", 0),
        ("pcgrad", 0),
    ]
    assert "output" not in found["settings"]
    assert [row["strategy"] for row in found["summary"]] == ["ew", "pcgrad"]


def test_nothing_is_done_twice(whole, monkeypatch, capsys):
    runs = {it: it.stat().st_mtime_ns for it in (whole / "runs").iterdir()}
    before = without_times(whole)
    monkeypatch.chdir(whole.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(arguments()) == 0
    assert "2 of 2 are done already" in capsys.readouterr().out
    assert without_times(whole) == before
    assert {it: it.stat().st_mtime_ns for it in runs} == runs
    # Other settings are refused, and leave all as it is.
    assert main(arguments(epochs="3")) == 2
    assert "has results with epochs=2; now it is 3" in capsys.readouterr().err
    assert {it: it.stat().st_mtime_ns for it in runs} == runs


def test_killed_and_resumed(whole, tmp_path):
    """The parent is killed, then a worker: the results are the same."""
    put_module(tmp_path)
    report = tmp_path / "report"
    first = report / "runs" / f"{BACKEND}-ew-0.json"

    parent = start(tmp_path, *arguments())
    wait_until(first.exists)
    workers = children(parent, "worker")
    parent.kill()
    parent.wait()
    assert len(workers) == 1
    wait_until(lambda: not is_alive(workers[0]))
    done = {it: it.stat().st_mtime_ns for it in first.parent.glob("*.json")}

    parent = start(tmp_path, *arguments())
    # Others are asked for the name of the machine, and are gone soon.
    wait_until(lambda: children(parent, "worker"))
    time.sleep(random.Random(0).uniform(0.0, 0.5))
    for pid in children(parent, "worker"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # It says so: a run has failed, or the backend was given up.
    assert parent.wait(PATIENCE) == 1

    assert start(tmp_path, *arguments()).wait(PATIENCE) == 0
    assert {it: it.stat().st_mtime_ns for it in done} == done
    assert without_times(report) == without_times(whole)


def results_of(folder):
    """The files of finished jobs, and when they were written."""
    found = [*folder.glob("runs/*.json"), *folder.glob("trials/*.json")]
    return {path: path.stat().st_mtime_ns for path in found}


@pytest.mark.slow
def test_killed_at_ten_random_moments(tmp_path):
    put_module(tmp_path)
    tuned = {"tune": "learning_rate", "trials": "2"}
    generator = random.Random(1)
    begin = time.monotonic()
    assert start(tmp_path, *arguments("whole", **tuned)).wait(PATIENCE) == 0
    duration = time.monotonic() - begin
    report = tmp_path / "report"
    # The user's own, in the folder and beside it.
    (report / "runs").mkdir(parents=True)
    mine = [report / "a.tmp", report / "runs" / "b.tmp", tmp_path / "c.tmp"]
    for path in mine:
        path.write_text("mine")
    (report / "link").symlink_to(tmp_path / "c.tmp")
    done = {}
    for _ in range(10):
        parent = start(tmp_path, *arguments(**tuned))
        time.sleep(generator.uniform(0.2, 0.9) * duration)
        victims = generator.choice([[parent.pid], children(parent)])
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        parent.wait(PATIENCE)
        # Nothing that was done is done again.
        assert {path: results_of(report).get(path) for path in done} == done
        done = results_of(report)
    assert start(tmp_path, *arguments(**tuned)).wait(PATIENCE) == 0
    assert {path: results_of(report).get(path) for path in done} == done
    assert without_times(report) == without_times(tmp_path / "whole")
    names = [it.name for it in results_of(tmp_path / "whole")]
    assert sorted(names) == sorted(it.name for it in results_of(report))
    found = [it for it in report.rglob("*") if it.suffix == ".tmp"]
    assert sorted(found) == sorted(mine[:2])
    assert all(path.read_text() == "mine" for path in mine)
    assert (report / "link").is_symlink()


def test_a_strategy_that_fails(user_folder, capsys):
    given = {
        "strategies": "comparison_problem:gentle,auto_lambda",
        "epochs": "1",
    }
    assert main(arguments(**given)) == 1
    assert "failed: " in capsys.readouterr().out
    found = json.loads((user_folder / "report/results.json").read_text())
    (run,) = found["runs"]
    assert run["strategy"] == "comparison_problem:gentle"
    (missing,) = found["missing"]
    assert missing["strategy"] == "auto_lambda"
    assert "balancer_data" in missing["message"]
