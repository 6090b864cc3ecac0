"""Which backend is picked when Keras's default is not installed."""

import importlib.util
import json
import sys
from types import SimpleNamespace

import pytest

from keras_mtl.backend_choice import choose_backend


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Pretends that exactly the given packages are installed."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "keras")

    def pretend(*names, folders=()):
        def find_spec(name):
            if name in names:
                return SimpleNamespace(origin=f"{name}/__init__.py")
            return SimpleNamespace(origin=None) if name in folders else None

        monkeypatch.setattr(importlib.util, "find_spec", find_spec)

    return pretend


def test_tensorflow_remains_the_default(installed):
    installed("tensorflow", "jax", "torch")
    assert choose_backend() is None


def test_picks_what_is_installed(installed):
    installed("torch", folders=["jax", "tensorflow"])
    assert choose_backend() == "torch"


def test_prefers_jax(installed):
    installed("jax", "torch")
    assert choose_backend() == "jax"


def test_leaves_a_choice_alone(installed, monkeypatch, tmp_path):
    installed("jax")
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
    assert choose_backend() is None
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert choose_backend() is None


def test_the_file_that_keras_writes_is_no_choice(installed, tmp_path):
    installed("jax")
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "tensorflow"}))
    assert choose_backend() == "jax"


def test_nothing_is_done_once_keras_is_imported(installed, monkeypatch):
    installed("jax")
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace())
    assert choose_backend() is None
