"""Files that are whole or not there, and folders that are kept apart."""

import errno
import io
import json
import os
import pickle
import shutil

import numpy as np
import pytest

from keras_mtl import atomic_files
from keras_mtl.comparison.agreement import compare_weights
from keras_mtl.comparison.comparison_folder import REPORTS
from keras_mtl.comparison.comparison_folder import ComparisonFolder
from keras_mtl.comparison.import_path import source_digest
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.records import SCHEMA
from keras_mtl.comparison.results_folder import LOCK
from keras_mtl.comparison.results_folder import lock_folder
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.settings import fixed_settings
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


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    folder = prepared(tmp_path)
    before = content_of(tmp_path)

    def full(descriptor):
        # As writing has it: without a name.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as error:
        folder.write(folder.settings_file, "new")
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename == str(folder.settings_file)
    assert content_of(tmp_path) == before


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        atomic_files.write_json(tmp_path / "file.json", float("nan"))
    assert not list(tmp_path.iterdir())


def prepared(path, **changes):
    settings = Settings(backends=("jax",), output=str(path), **changes)
    folder = ComparisonFolder(path)
    fixed = fixed_settings(settings)
    folder.check_place()
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


@pytest.mark.parametrize("path", ["file", "file/new", "lost"])
def test_output_must_be_a_folder(tmp_path, path):
    (tmp_path / "file").write_text("")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="`output` must be a folder"):
        prepared(tmp_path / path)


def test_output_must_be_writable(tmp_path, monkeypatch):
    # To root, everything is.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(ValueError, match="that can be written to"):
        prepared(tmp_path / "new" / "folder")
    assert not list(tmp_path.iterdir())


def content_of(folder):
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_what_the_user_has_in_the_folder_stays(tmp_path):
    mine = tmp_path / "mine"
    for name in ("thesis.tmp", "work.tmp/a", "runs/b.tmp/c", "lock", "runs/d"):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text(name)
    before = content_of(mine)
    folder = prepared(mine)
    with folder:
        folder.prepare({"schema": SCHEMA})
    assert content_of(mine).items() >= before.items()


@pytest.mark.parametrize("name", REPORTS)
def test_reports_of_another_are_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(
        ValueError, match=f"{name} is there, but it is not known"
    ):
        prepared(tmp_path)
    assert content_of(tmp_path) == {tmp_path / name: b"mine"}


@pytest.mark.parametrize(
    "name",
    [*REPORTS, "settings.json", "runs", "weights", "weights/start.npz", LOCK],
)
@pytest.mark.parametrize("known", [False, True])
def test_links_are_named_and_not_followed(tmp_path, name, known):
    folder, other = tmp_path / "folder", tmp_path / "other"
    other.mkdir()
    (other / "a.tmp").write_text("a")
    if known:
        prepared(folder)
    link = folder / name
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    if name in ("runs", "weights"):
        link.symlink_to(other)
    else:
        link.symlink_to(other / "a.tmp")
    before = content_of(other)
    with pytest.raises(ValueError, match=f"{name} is a link"):
        prepared(folder)
    # Nor where it has come since the folder was looked at.
    target = link / "x.json" if link.is_dir() else link
    with pytest.raises(ValueError, match="is a link"):
        ComparisonFolder(folder).write(target, "new")
    if name == LOCK:
        with pytest.raises(ValueError, match="is a link"):
            lock_folder(folder)
    assert content_of(other) == before


def test_compiled_programs_are_no_links(tmp_path):
    folder = prepared(tmp_path)
    kept = folder.compiled / "machine"
    kept.mkdir(parents=True)
    (kept / "a-cache").write_text("program")
    folder.check_place()
    (kept / "b-cache").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(ValueError, match="b-cache is a link"):
        folder.check_place()


def test_a_run_is_no_link(tmp_path):
    folder = prepared(tmp_path / "folder")
    (tmp_path / "other.json").write_text(json.dumps(made_up_record()))
    folder.file_of(JOB).symlink_to(tmp_path / "other.json")
    with pytest.raises(ValueError, match="jax-ew-0.json is a link"):
        folder.check_runs([JOB])
    folder.file_of(JOB).unlink()
    folder.file_of(JOB).mkdir()
    with pytest.raises(ValueError, match="jax-ew-0.json is no file"):
        folder.check_runs([JOB])


def test_runs_without_settings_are_of_unknown_ones(tmp_path):
    folder = prepared(tmp_path)
    folder.file_of(JOB).write_text(json.dumps(made_up_record()))
    folder.check_runs([JOB])
    folder.settings_file.unlink()
    with pytest.raises(ValueError, match="it is not known how it was made"):
        folder.check_runs([JOB])


def test_one_command_at_a_time(tmp_path):
    folder = prepared(tmp_path)
    with folder, pytest.raises(BlockingIOError, match="Another command"):
        lock_folder(tmp_path)
    lock_folder(tmp_path).close()


def test_runs_of_other_models_are_named(tmp_path):
    folder = prepared(tmp_path)
    jobs = [JOB, JOB._replace(seed=1)]
    for job, parameters in zip(jobs, (5, 6), strict=True):
        content = made_up_record(seed=job.seed, parameters=parameters)
        folder.file_of(job).write_text(json.dumps(content))
    folder.check_runs(jobs[:1])
    with pytest.raises(ValueError, match="-1.json has parameters=6, .*=5"):
        folder.check_runs(jobs)


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


def compressed(**arrays):
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
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
        # 8 MB in 8 kB.
        compressed(weight_0=np.zeros(1_000_000), weight_1=np.ones(3)),
    ],
)
def test_damaged_weights_are_refused(tmp_path, content):
    start, path = tmp_path / "start.npz", tmp_path / "jax-ew.npz"
    start.write_bytes(WEIGHTS)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="does not hold the weights") as error:
        compare_weights(start, {"ew": {"jax": path}})
    assert str(path) in str(error.value)


def test_helper_modules_of_a_package_are_watched(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "watched_package"
    (package / "parts").mkdir(parents=True)
    for name in ("__init__", "build", "parts/__init__", "parts/layers"):
        (package / f"{name}.py").write_text("")
    paths = ("watched_package:f", "watched_package.build:f")
    before = [source_digest("model", path) for path in paths]
    assert [source_digest("model", path) for path in paths] == before
    (package / "notes.txt").write_text("no code")
    assert [source_digest("model", path) for path in paths] == before
    (package / "parts" / "layers.py").write_text("units = 4")
    after = [source_digest("model", path) for path in paths]
    assert not set(before) & set(after)
