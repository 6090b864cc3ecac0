"""Files that are whole or not there, and folders that are kept apart."""

import json
import os
import subprocess
import sys

import pytest

from keras_mtl import atomic_files
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.results_folder import SCHEMA
from keras_mtl.comparison.results_folder import ResultsFolder
from keras_mtl.comparison.results_folder import fixed_settings
from keras_mtl.comparison.settings import Settings

JOB = Job("jax", "ew", 0)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    atomic_files.write_atomically(path, "old")

    def power_cut(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", power_cut)
    with pytest.raises(KeyboardInterrupt):
        atomic_files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [it.name for it in tmp_path.iterdir()] == ["file.json"]


def test_what_a_killed_write_has_left_is_removed(tmp_path):
    (tmp_path / "file.json").write_text("old")
    (tmp_path / "file.json.123.tmp").write_text("ne")
    atomic_files.remove_temporary_files(tmp_path)
    assert [it.name for it in tmp_path.iterdir()] == ["file.json"]


def test_content_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor):
        calls.append("fsync")
        fsync(descriptor)

    def noted_replace(source, target):
        calls.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    atomic_files.write_json(tmp_path / "file.json", {"é": [1, None]})
    # The folder last, which knows the name.
    assert calls == ["fsync", "replace", "fsync"]
    assert json.loads((tmp_path / "file.json").read_text("utf-8")) == {
        "é": [1, None]
    }


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        atomic_files.write_json(tmp_path / "file.json", float("nan"))
    assert not list(tmp_path.iterdir())


def prepared(path, **changes):
    settings = Settings(backends=("jax",), output=str(path), **changes)
    folder = ResultsFolder(path)
    fixed = fixed_settings(settings)
    folder.check(fixed)
    with folder:
        folder.prepare(fixed)
    return folder


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 11),
        ("batch_size", 50),
        ("learning_rate", 0.1),
        ("limit", 10),
        ("dataset", "multi_mnist"),
        ("agreement_steps", 3),
    ],
)
def test_other_settings_are_named(tmp_path, name, value):
    prepared(tmp_path)
    before = getattr(Settings(backends=()), name)
    with pytest.raises(ValueError) as caught:
        prepared(tmp_path, **{name: value})
    message = str(caught.value)
    assert f"{name}={before!r}" in message and f"{value!r}" in message
    assert "--output" in message


def test_more_runs_are_no_other_settings(tmp_path):
    folder = prepared(tmp_path)
    prepared(tmp_path, seeds=9, strategies=("mgda",), jobs=3)
    settings = Settings(backends=("torch",))
    folder.check(fixed_settings(settings))


def test_other_versions_are_named(tmp_path, monkeypatch):
    prepared(tmp_path)
    monkeypatch.setattr("keras_mtl.__version__", "9.9")
    with pytest.raises(ValueError, match="versions/jax/keras_mtl='.*'9.9'"):
        prepared(tmp_path)


def test_a_changed_model_is_named(user_folder):
    model = {"model": "comparison_problem:build"}
    prepared(user_folder / "report", **model)
    with open("comparison_problem.py", "a") as file:
        file.write("# Another line.\n")
    with pytest.raises(ValueError, match="source/comparison_problem="):
        prepared(user_folder / "report", **model)


def test_output_must_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="`output` must be a folder"):
        prepared(tmp_path / "file")


def test_records_are_checked(tmp_path):
    folder = prepared(tmp_path)
    path = folder.file_of(JOB)
    assert folder.unfinished([JOB]) == [JOB]
    path.write_text('{"schema": 1, "backend"')
    assert folder.unfinished([JOB]) == []
    with pytest.raises(ValueError, match="jax-ew-0.json is no valid JSON"):
        folder.read_run(JOB)
    record = {"schema": SCHEMA, "backend": "jax", "strategy": "ew", "seed": 1}
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="not the record of this run"):
        folder.read_run(JOB)
    path.write_text(json.dumps({**record, "seed": 0}))
    assert folder.read_run(JOB)["seed"] == 0


def test_one_command_at_a_time(tmp_path):
    prepared(tmp_path)
    program = (
        "import sys; from keras_mtl.comparison.folder_lock import lock_folder;"
        "from pathlib import Path; lock = lock_folder(Path(sys.argv[1]));"
        "print('locked', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(BlockingIOError, match="Another command"):
            with ResultsFolder(tmp_path):
                pass
        other.kill()
    # The lock is gone with its owner.
    with ResultsFolder(tmp_path):
        pass
