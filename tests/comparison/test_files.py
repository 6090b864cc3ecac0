"""Files that are whole or not there, and folders that are kept apart."""

import io
import json
import os
import pickle

import numpy as np
import pytest

from keras_mtl import atomic_files
from keras_mtl.comparison.agreement import compare_weights
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.results_folder import SCHEMA
from keras_mtl.comparison.results_folder import ResultsFolder
from keras_mtl.comparison.results_folder import fixed_settings
from keras_mtl.comparison.settings import Settings
from tests.comparison.made_up import record

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
    path.write_text(json.dumps(made_up_record(seed=1)))
    with pytest.raises(ValueError, match="not the record of this run"):
        folder.read_run(JOB)
    path.write_text(json.dumps(made_up_record()))
    assert folder.read_run(JOB)["tasks"] == ["left", "right"]


def made_up_record(**changes):
    """What the file of `JOB` could hold."""
    found = record("jax", "ew", 0, [0.5, 0.75])
    return {"schema": SCHEMA, "versions": {"keras": "3"}, **found, **changes}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("seed", True, "'seed' must be an integer from 0 on"),
        ("seed", -1, "'seed' must be"),
        ("status", "hacked", "'status' must be one of"),
        ("status", [], "'status' must be one of"),
        ("message", 3, "'message' must be text or null"),
        ("tasks", [], "'tasks' must be a list of one or more names"),
        ("tasks", [1, 2], "'tasks' must be"),
        ("parameters", 0.5, "'parameters' must be an integer or null"),
        ("versions", {"keras": []}, "'versions' must be texts by name"),
        ("history", [{"loss": "0"}], "'history' must be a list of numbers"),
        ("history", [{"loss": 10**400}], "'history' must be"),
        ("history", {}, "'history' must be"),
        ("cosines", [[1.0]], "'cosines' must be 2 rows of 2"),
        ("cosines", [[1.0, 2.0], 3], "'cosines' must be rows of numbers"),
        ("seconds", {"epochs": []}, "'seconds' must be"),
    ],
)
def test_a_record_of_another_form_is_refused(tmp_path, name, value, text):
    folder = prepared(tmp_path)
    path = folder.file_of(JOB)
    path.write_text(json.dumps(made_up_record(**{name: value})))
    with pytest.raises(ValueError, match=text) as error:
        folder.read_run(JOB)
    assert str(path) in str(error.value)
    lacking = made_up_record()
    del lacking[name]
    path.write_text(json.dumps(lacking))
    with pytest.raises(ValueError, match=f"it has no '{name}'"):
        folder.read_run(JOB)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "no valid JSON"),
        ("[1, 2]", "it must hold an object, not list"),
        ('{"seed": NaN}', "NaN is no JSON"),
        ("[" * 100_000, "no valid JSON"),
        ("__import__('os').system('touch made')", "no valid JSON"),
        ('{"__reduce__": "os.system"}', "it has no 'schema'"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path, content, text):
    folder = prepared(tmp_path)
    path = folder.file_of(JOB)
    path.write_text(content)
    with pytest.raises(ValueError, match=text) as error:
        folder.read_run(JOB)
    assert str(path) in str(error.value)


def test_settings_of_another_form_are_refused(tmp_path):
    folder = prepared(tmp_path)
    folder.settings_file.write_text("[]")
    with pytest.raises(ValueError, match="must hold an object") as error:
        prepared(tmp_path)
    assert str(folder.settings_file) in str(error.value)


def archive(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


WEIGHTS = archive(weight_0=np.ones((2, 3)), weight_1=np.ones(3))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WEIGHTS[:100],
        WEIGHTS[:-1],
        # The check sum tells.
        WEIGHTS.replace(np.ones(3).tobytes(), np.zeros(3).tobytes()),
        pickle.dumps([1]),
        b"\x93NUMPY\x01\x00",
        archive(other=np.ones((2, 3)), weight_1=np.ones(3)),
        archive(weight_0=np.ones((2, 3))),
        archive(weight_0=np.ones((3, 2)), weight_1=np.ones(3)),
        archive(weight_0=np.full((2, 3), "1"), weight_1=np.ones(3)),
        archive(weight_0=np.full((2, 3), None), weight_1=np.ones(3)),
    ],
)
def test_damaged_weights_are_refused(tmp_path, content):
    start, path = tmp_path / "start.npz", tmp_path / "jax-ew.npz"
    start.write_bytes(WEIGHTS)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="does not hold the weights") as error:
        compare_weights(start, {"ew": {"jax": path}})
    assert str(path) in str(error.value)
