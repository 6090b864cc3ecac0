"""Runs the examples that are plain scripts, shortened."""

import runpy

import pytest

from tests.examples.notebook_builder import EXAMPLES
from tests.examples.notebook_builder import builder

SCRIPTS = [
    path
    for path in sorted(EXAMPLES.glob("*.py"))
    if not builder.is_notebook(path)
    # Which have tests of their own.
    and path.stem not in ("many_devices", "census")
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_MTL_FAST", "1")
    runpy.run_path(str(path), run_name="__main__")
    assert "accuracy" in capsys.readouterr().out


def test_there_are_examples():
    assert len(SCRIPTS) >= 3
