"""The demo, shortened, and what it says when something is wrong."""

import dataclasses
import importlib.util
import json

import keras
import numpy as np
import pytest

from keras_mtl.__main__ import main
from keras_mtl.comparison.demo import DemoSettings
from keras_mtl.comparison.demo import DemoWork
from keras_mtl.comparison.worker_process import WorkerProcess


def test_without_a_command_it_prints_help(capsys):
    assert main([]) == 0
    assert "demo" in capsys.readouterr().out


def test_quick_demo(tmp_path, capsys):
    output = tmp_path / "results"
    arguments = ["--strategies", "ew,fs_mtl", "--output", str(output)]
    assert main(["demo", "--quick", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "fs_mtl" in printed and "conflict" in printed
    assert (output / "demo.png").read_bytes().startswith(b"\x89PNG")
    results = json.loads((output / "results.json").read_text())
    assert results["backend"] == keras.backend.backend()
    assert results["settings"]["epochs"] == 2
    assert [(run["strategy"], run["seed"]) for run in results["runs"]] == [
        ("ew", 0),
        ("fs_mtl", 0),
    ]
    for run in results["runs"]:
        assert len(run["history"]) == 2
        assert 0.0 <= run["conflict_ratio"] <= 1.0
        assert set(run["accuracy"]) == {"left", "right"}
        # Better than guessing one of ten digits: it was trained.
        assert run["train_loss"] < 2 * np.log(10)


def test_it_goes_on_where_it_stopped(tmp_path, capsys, monkeypatch):
    arguments = ["demo", "--quick", "--output", str(tmp_path)]
    monkeypatch.setattr(WorkerProcess, "give", interrupt)
    assert main([*arguments, "--strategies", "ew"]) == 130
    assert "goes on where it stopped" in capsys.readouterr().err
    monkeypatch.undo()
    assert main([*arguments, "--strategies", "ew"]) == 0
    assert main([*arguments, "--strategies", "ew", "--seeds", "1"]) == 0
    assert "1 of 1 are done already" in capsys.readouterr().out


def test_demos_of_other_settings_are_kept_apart(tmp_path):
    one = DemoSettings(backends=("jax",), output=str(tmp_path))

    def folder_of(**changes):
        return DemoWork(dataclasses.replace(one, **changes)).folder.path

    for changes in ({"epochs": 3}, {"num_test": 5}, {"probed": 1}):
        assert folder_of(**changes) != folder_of()
    # Runs of more strategies and seeds are added.
    assert folder_of(strategies=("mgda",), seeds=3) == folder_of()
    work = DemoWork(one)
    again = DemoWork.from_arguments(json.loads(json.dumps(work.arguments())))
    assert (again.settings, again.folder.path) == (one, work.folder.path)


def interrupt(worker, job):
    raise KeyboardInterrupt


def test_unknown_strategy_is_named(tmp_path, capsys):
    arguments = ["--strategies", "fs_mlt", "--output", str(tmp_path)]
    assert main(["demo", *arguments]) == 2
    assert "Did you mean 'fs_mtl'?" in capsys.readouterr().err


def test_missing_package_is_named(monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "rich" else found(name),
    )
    assert main(["demo", "--quick"]) == 1
    assert "pip install rich" in capsys.readouterr().err


def test_wants_positive_numbers(capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--seeds", "0"])
    assert "must be positive" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["results.json", "demo.png"])
@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_there_is_not_replaced(tmp_path, capsys, name, kind):
    mine, path = tmp_path / "mine", tmp_path / "output" / name
    mine.write_text("{}")
    path.parent.mkdir()
    if kind == "file":
        path.write_text("{}")
    elif kind == "link":
        path.symlink_to(mine)
    else:
        path.mkdir()
    assert main(["demo", "--quick", "--output", str(path.parent)]) == 2
    assert str(path) in capsys.readouterr().err
    assert mine.read_text() == "{}"
    assert [it.name for it in path.parent.iterdir()] == [name]


def test_output_that_is_no_folder_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", "--output", str(tmp_path / "file" / "new")]) == 2
    assert "`output` must be a folder" in capsys.readouterr().err
