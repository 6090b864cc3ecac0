"""What the command says before it starts anything."""

import errno
import importlib.util
from types import SimpleNamespace

import keras
import pytest

from keras_mtl.__main__ import main
from keras_mtl.comparison import supervisor
from keras_mtl.comparison import worker
from keras_mtl.comparison.comparison_folder import ComparisonFolder
from keras_mtl.comparison.supervisor import Supervisor
from tests.comparison.local_worker import TrainingWorker

BACKEND = keras.backend.backend()
USER = [
    *("--model", "comparison_problem:build"),
    *("--dataset", "comparison_problem:load_data"),
]


def test_help_names_the_options(capsys):
    with pytest.raises(SystemExit) as status:
        main(["compare", "--help"])
    assert status.value.code == 0
    printed = capsys.readouterr().out
    for option in ("--backends", "--strategies", "--config", "--dry-run"):
        assert option in printed


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--strategies", "pcgard"], "Did you mean 'pcgrad'?"),
        (["--strategies", "fs_mtl(roh=1)"], "'fs_mtl' has no argument 'roh'"),
        (["--strategies", "fs_mtl(rho=-1)"], "Argument `rho` must be"),
        (["--strategies", "fs_mtl(rho=exit())"], "must be arguments by name"),
        (["--dataset", "mnist"], "Argument `dataset` must be one of"),
        (["--dataset", "qm9"], "There is no model for the data set 'qm9'"),
        (
            ["--dataset", "multi_mnist", "--data-dir", "nowhere"],
            "nowhere",
        ),
        (
            ["--dataset", "office31", "--model", "comparison_problem:build"],
            "other inputs for each task",
        ),
        (["--model", "no_such_module:build"], "no module 'no_such_module'"),
        (["--model", "comparison_problem:biuld"], "has no 'biuld'. It has:"),
        (["--model", "comparison_problem"], "my_module:build"),
        (
            ["--model", "comparison_problem:not_a_function"],
            "must name a function",
        ),
        (["--dataset", "comparison_problem:nothing"], "has no 'nothing'"),
        (["--strategies", "comparison_problem:none"], "has no 'none'"),
        (["--epochs", "0"], "`epochs` must be an integer, at least 1"),
        (["--config", "nowhere.toml"], "must be a TOML file"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    user_folder, capsys, arguments, expected
):
    before = set(user_folder.iterdir())
    assert main(["compare", "--output", "report", *arguments]) == 2
    assert expected in capsys.readouterr().err
    after = {it for it in user_folder.iterdir() if it.name != "__pycache__"}
    assert after == before


def test_a_backend_that_is_not_installed(user_folder, capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "torch" else found(name),
    )
    assert main(["compare", "--backends", f"{BACKEND},torch"]) == 2
    assert 'pip install "keras-mtl[torch]"' in capsys.readouterr().err
    assert not (user_folder / "report").exists()


def test_without_rich(user_folder, capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "rich" else found(name),
    )
    assert main(["compare", *USER]) == 2
    assert 'pip install "keras-mtl[demo]"' in capsys.readouterr().err


def test_dry_run_writes_nothing(user_folder, capsys, monkeypatch):
    pytest.importorskip("jax")
    pytest.importorskip("torch")
    monkeypatch.setattr(supervisor, "WorkerProcess", TrainingWorker)
    arguments = ["--backends", "jax,torch", "--seeds", "2", "--dry-run"]
    strategies = ["--strategies", "ew,comparison_problem:gentle"]
    assert main(["compare", *USER, *arguments, *strategies]) == 0
    printed = capsys.readouterr().out
    assert "to do  torch, comparison_problem:gentle, seed 1\n" in printed
    # Two strategies on two backends: two seeds, and steps to agree on.
    assert "12 of 12 to do" in printed
    # And a step of each was made.
    for backend in ("jax", "torch"):
        for strategy in ("ew", "comparison_problem:gentle"):
            assert f"done: {backend}, {strategy}, one step" in printed
    assert {it.name for it in user_folder.iterdir()} <= {
        "comparison_problem.py",
        "__pycache__",
    }


def test_dry_run_finds_what_fails_in_a_step(user_folder, capsys):
    arguments = ["--strategies", "ew,auto_lambda", "--dry-run"]
    assert main(["compare", *USER, *arguments]) == 1
    printed = capsys.readouterr().out
    assert f"done: {BACKEND}, ew, one step" in printed
    assert "auto_lambda, one step" in printed and "balancer_data" in printed
    assert not (user_folder / "report").exists()


def test_what_the_users_module_imports_is_named(user_folder, capsys):
    (user_folder / "comparison_problem.py").write_text("import no_such_thing")
    assert main(["compare", *USER]) == 2
    printed = capsys.readouterr().err
    assert "'comparison_problem' imports 'no_such_thing'" in printed


def test_a_module_that_ends_the_program_is_named(user_folder, capsys):
    (user_folder / "comparison_problem.py").write_text("raise SystemExit(0)")
    assert main(["compare", *USER]) == 2
    assert "'comparison_problem' ends the program" in capsys.readouterr().err


def test_other_errors_of_the_users_module_are_raised(user_folder):
    (user_folder / "comparison_problem.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        main(["compare", *USER])


def test_what_is_the_users_is_found_before_anything_starts(user_folder, capsys):
    (user_folder / "report.md").write_text("mine")
    assert main(["compare", *USER, "--output", "."]) == 2
    assert "not known how it was made" in capsys.readouterr().err
    assert (user_folder / "report.md").read_text() == "mine"
    (user_folder / "report").mkdir()
    (user_folder / "report" / "lost\x1b").symlink_to("nowhere")
    assert main(["compare", *USER, "--output", "report/lost\x1b"]) == 2
    assert r"report/lost\x1b is none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space", "lock"), "lock: No space\n"),
        (ValueError("start.npz is damaged"), "start.npz is damaged\n"),
    ],
)
def test_faults_of_the_folder_are_one_line(
    user_folder, capsys, monkeypatch, error, expected
):
    def run(self):
        raise error

    monkeypatch.setattr(Supervisor, "run", run)
    assert main(["compare", *USER]) == 1
    assert capsys.readouterr().err == expected


def test_a_worker_says_in_one_line_that_the_disk_is_full(tmp_path, monkeypatch):
    def no_space(*arguments):
        raise OSError(errno.ENOSPC, "No space", "runs/a.json")

    monkeypatch.setattr(ComparisonFolder, "write", no_space)
    sent = []
    parent = SimpleNamespace(send=lambda *event, **it: sent.append((event, it)))
    folder = ComparisonFolder(tmp_path)
    with pytest.raises(OSError, match="No space"):
        worker._write(folder, folder.runs / "a.json", "{}", parent)
    assert sent == [(("refused",), {"message": "runs/a.json: No space"})]
