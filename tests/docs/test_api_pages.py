"""The API pages name everything that is public."""

import importlib
import re
from pathlib import Path

import pytest

import keras_mtl
from keras_mtl.export import EXPORTS

PAGES = sorted((Path(__file__).parents[2] / "docs" / "api").glob("*.md"))


def documented(page):
    return re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)


def resolve(path):
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_is_complete_and_names_what_exists(page):
    names = documented(page)
    assert names and len(names) == len(set(names))
    on_page = {id(resolve(name)) for name in names}
    package = importlib.import_module(f"keras_mtl.{page.stem}")
    missing = [
        name
        for name in package.__all__
        if id(getattr(package, name)) not in on_page
    ]
    assert not missing


def test_every_export_is_on_a_page():
    on_pages = {
        id(resolve(name)) for page in PAGES for name in documented(page)
    }
    assert not [path for path, it in EXPORTS.items() if id(it) not in on_pages]


def test_the_model_page_has_what_users_call():
    page = (PAGES[0].parent / "models.md").read_text()
    inherited = re.findall(r"^        - (\w+)$", page, re.MULTILINE)
    assert {"compile", "fit", "load_weights", "task_model"} <= {*inherited}
    model = keras_mtl.MultiTaskModel
    for name in inherited:
        assert getattr(model, name).__doc__, name
