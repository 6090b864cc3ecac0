"""Settings from the command line and from a file."""

import argparse

import pytest

from keras_mtl.comparison import command
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.jobs import all_agreements
from keras_mtl.comparison.jobs import all_runs
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.settings import read_settings


def read(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    (found,) = read_settings(parser.parse_args(arguments), "jax")
    return found


def test_defaults():
    assert read() == Settings(backends=("jax",))


def test_options():
    settings = read(
        *("--backends", "tensorflow, jax,jax", "--strategies", "ew,pcgrad"),
        *("--seeds", "4", "--epochs", "7", "--batch-size", "16"),
        *("--learning-rate", "0.5", "--limit", "9", "--jobs", "2"),
        *("--data-dir", "files", "--output", "there", "--dataset", "nyuv2"),
        *("--model", "mine:build", "--agreement-steps", "0"),
        *("--baseline", "pcgrad", "--objective", "test_auc"),
        *("--tune", "learning_rate,rho", "--trials", "9"),
        *("--validation", "0.2"),
    )
    assert settings == Settings(
        backends=("tensorflow", "jax"),
        strategies=("ew", "pcgrad"),
        dataset="nyuv2",
        model="mine:build",
        data_dir="files",
        seeds=4,
        epochs=7,
        batch_size=16,
        learning_rate=0.5,
        limit=9,
        agreement_steps=0,
        output="there",
        jobs=2,
        baseline="pcgrad",
        objective="test_auc",
        tune=("learning_rate", "rho"),
        trials=9,
        validation=0.2,
    )


def test_the_command_line_goes_before_the_file(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(
        'backends = ["torch", "jax"]\nstrategies = "ew,mgda"\n'
        "epochs = 5\nbatch-size = 8\nlearning_rate = 1\n"
        "[space]\nrho = [0.1, 0.5]\n"
    )
    settings = read("--config", str(path), "--epochs", "2")
    assert settings == Settings(
        backends=("torch", "jax"),
        strategies=("ew", "mgda"),
        epochs=2,
        batch_size=8,
        learning_rate=1,
        space={"rho": [0.1, 0.5]},
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch = 3", r"Unknown key in .*: 'epoch'. Did you mean 'epochs'\?"),
        ("epochs = ", "is no valid TOML: Invalid value"),
        ("epochs = 2.5", "`epochs` must be an integer, at least 1.*2.5"),
        ("seeds = true", "`seeds` must be an integer, at least 1.*True"),
        ('jobs = "2"', "`jobs` must be an integer, at least 1.*jobs=2"),
        ("dataset = 3", "`dataset` must be text, not empty.*dataset=3"),
        ('output = ""', "`output` must be text, not empty"),
        ("strategies = []", "`strategies` must be names with commas.*\\[\\]"),
        ("strategies = [1]", "`strategies` must be names with commas.*\\[1\\]"),
    ],
)
def test_mistakes_in_the_file(tmp_path, text, expected):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=expected):
        read("--config", str(path))


def test_missing_file():
    with pytest.raises(ValueError, match="config=nowhere.toml: No such file"):
        read("--config", "nowhere.toml")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--backends", "mxnet"], "must be one of .*tensorflow.*mxnet"),
        (["--backends", "jax,,torch"], "`backends` must be names with commas"),
        (["--seeds", "0"], "`seeds` must be an integer, at least 1.*seeds=0"),
        (["--limit", "-1"], "`limit` must be an integer, at least 1"),
        (["--agreement-steps", "-1"], "must be an integer, at least 0"),
        (["--learning-rate", "0"], r"must be a number in \(0, inf\)"),
        (["--baseline", "mgda"], "`baseline` must be one of .*baseline=mgda"),
        (["--objective", "loss"], "measure on the test data.*objective=loss"),
        (["--validation", "1"], r"`validation` must be a number in \(0, 1\)"),
        (["--learning-rate", "nan"], r"must be a number in \(0, inf\)"),
    ],
)
def test_mistakes_on_the_command_line(arguments, expected):
    with pytest.raises(ValueError, match=expected):
        read(*arguments)


def test_runs_are_every_combination_once():
    settings = read("--backends", "jax,torch", "--strategies", "ew,mgda")
    runs = all_runs(settings)
    assert len(set(runs)) == len(runs) == 2 * 2 * 3
    assert runs[0] == Job("jax", "ew", 0) and runs[1] == Job("jax", "mgda", 0)
    assert len(all_agreements(settings)) == 4


def test_one_backend_has_nothing_to_agree_with():
    assert all_agreements(read()) == []
    both = read("--backends", "jax,torch", "--agreement-steps", "0")
    assert all_agreements(both) == []


def test_files_of_different_jobs_differ_on_every_disk():
    names = ["ew", "EW", "a:b", "a.b:c", "a_b:c", "A:b"]
    files = {Job("jax", name, 0).file_name.lower() for name in names}
    assert len(files) == len(names)
    assert Job("jax", "db_mtl", 2).file_name == "jax-db_mtl-2.json"
