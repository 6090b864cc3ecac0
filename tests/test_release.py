"""What a release says of itself in several places."""

import re
import tomllib
from pathlib import Path

import keras_mtl

ROOT = Path(__file__).parents[1]


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    (version,) = re.findall(r"^version: (\S+)$", citation, re.MULTILINE)
    assert version == keras_mtl.__version__


def test_the_changelog_has_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    is_release = re.fullmatch(r"\d+\.\d+\.\d+", keras_mtl.__version__)
    expected = keras_mtl.__version__ if is_release else "Unreleased"
    assert headings[0] == expected


def test_runtime_requirements_are_few():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"\W", it)[0] for it in project["dependencies"]}
    assert names == {"keras", "numpy"}
