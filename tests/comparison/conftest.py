"""A folder with the modules of a user, in which the command is started."""

import shutil
import sys
from pathlib import Path

import pytest

MODULE = "comparison_problem"


def put_module(folder):
    source = Path(__file__).with_name("tiny_problem.py")
    shutil.copy(source, folder / f"{MODULE}.py")


@pytest.fixture
def user_folder(tmp_path, monkeypatch):
    """The current folder, with `comparison_problem.py` in it."""
    put_module(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield tmp_path
    sys.modules.pop(MODULE, None)
