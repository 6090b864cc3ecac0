"""Builds the notebooks from the examples, and runs them shortened."""

import json
import os
import re
import subprocess
import sys

import keras
import pytest

from tests.datasets.idx_writer import random_set
from tests.datasets.idx_writer import write_idx
from tests.examples.notebook_builder import ROOT
from tests.examples.notebook_builder import SCRIPT
from tests.examples.notebook_builder import builder

#: How many figures each must show.
FIGURES = {
    "census_income": 2,
    "custom_methods": 2,
    "dense_prediction": 2,
    "many_domains": 2,
    "multi_mnist": 6,
    "physics_informed": 2,
    "recommendation": 2,
    "switching_backends": 1,
}

HEADER = """
Title: Two words
Author: Somebody
Date created: 2026/01/01
Last modified: 2026/01/02
Description: What it
    is about.
Accelerator: None
"""
SOURCE = (
    f'"""{HEADER}"""\n'
    + '''
"""
# Text

with `code`.
"""

import os

TEXT = """
no cell
"""


def function():
    """Neither is this."""


"""More text."""
function()
'''
)


def test_cells():
    title, text, code, more, last = builder.cells_of(SOURCE)
    assert title[0] == "markdown"
    assert title[1].splitlines()[0] == "# Two words"
    assert "**Description:** What it is about.<br>" in title[1]
    assert text == ("markdown", "# Text\n\nwith `code`.")
    assert code[0] == "code" and code[1].startswith("import os\n\nTEXT")
    assert code[1].endswith('Neither is this."""')
    assert more == ("markdown", "More text.")
    assert last == ("code", "function()")


def test_code_of_a_notebook_is_that_of_the_source(tmp_path):
    path = tmp_path / "example.py"
    path.write_text(SOURCE)
    notebook = builder.notebook_of(path)
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds == ["markdown", "code", "markdown", "code", "markdown", "code"]
    assert notebook.cells[1].source == "%matplotlib inline"
    assert notebook.cells[2].source == "# Text\n\nwith `code`."
    assert notebook.cells[3].source == builder.cells_of(SOURCE)[2][1]


@pytest.mark.parametrize(
    "wrong",
    [
        HEADER.replace("Author: Somebody\n", ""),
        HEADER.replace("Title: Two words", "Title: "),
        "No header.",
    ],
)
def test_a_header_must_be_complete(wrong):
    with pytest.raises(ValueError, match="must have the lines Title, Author"):
        builder.cells_of(SOURCE.replace(HEADER, wrong))


def test_an_unknown_name_is_an_error(capsys):
    with pytest.raises(SystemExit):
        builder.main(["multi_mnits"])
    assert "no notebook is called 'multi_mnits'" in capsys.readouterr().err


def test_every_notebook_is_run_and_listed():
    names = {path.stem for path in builder.sources()}
    assert names == set(FIGURES)
    page = (ROOT / "docs" / "notebooks.md").read_text()
    commands = re.findall(r"--execute (\w+)$", page, re.MULTILINE)
    assert sorted(commands) == sorted(FIGURES)


@pytest.fixture(scope="module")
def idx_folder(tmp_path_factory):
    """A few random images, in the layout of the MNIST files."""
    folder = tmp_path_factory.mktemp("data")
    for seed, split in enumerate(("train", "test")):
        write_idx(folder / "mnist", split, *random_set(60, seed))
    return folder


# Minutes on each backend; two are enough.
@pytest.mark.slow_on("jax")
@pytest.mark.parametrize("name", FIGURES)
def test_notebook_runs(name, tmp_path, idx_folder):
    backend = keras.backend.backend()
    if name == "switching_backends" and backend != "torch":
        pytest.skip("It runs on all backends by itself.")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--execute", "--output", tmp_path, name],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "KERAS_MTL_BACKBONE": "keras_applications",
            "KERAS_MTL_DATA": str(idx_folder),
            "KERAS_MTL_FAST": "1",
            # Tests run side by side; threads that wait would only disturb.
            "OMP_NUM_THREADS": "1",
        },
    )
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / f"{name}.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [it for it in outputs if it["output_type"] == "error"]
    figures = [it for it in outputs if "image/png" in it.get("data", {})]
    assert len(figures) == FIGURES[name]
