"""Picks a Keras backend that is installed when the default one is not."""

import importlib.util
import json
import os
import sys
from pathlib import Path

KERAS_DEFAULT = "tensorflow"
ALTERNATIVES = ("jax", "torch")


def choose_backend() -> str | None:
    """Sets `KERAS_BACKEND` if Keras would otherwise fail to import.

    Keras uses TensorFlow unless the environment variable `KERAS_BACKEND` or
    `keras.json` says otherwise, and it fails to import where TensorFlow is not
    installed. Then, and only then, this function selects the first of JAX and
    torch that is installed. A backend that somebody chose is never changed,
    nor is anything done after Keras was imported.

    Returns:
        The backend that was selected, or `None` if nothing was changed.
    """
    if os.environ.get("KERAS_BACKEND") or "keras" in sys.modules:
        return None
    # Keras writes its default to this file whenever it is imported, even when
    # that import fails: "tensorflow" there need not be anybody's choice.
    if _configured_backend() != KERAS_DEFAULT or is_installed(KERAS_DEFAULT):
        return None
    for name in ALTERNATIVES:
        if is_installed(name):
            os.environ["KERAS_BACKEND"] = name
            return name
    return None


def _configured_backend() -> str:
    home = os.environ.get("KERAS_HOME", os.path.join("~", ".keras"))
    path = Path(home).expanduser() / "keras.json"
    try:
        return json.loads(path.read_text()).get("backend", KERAS_DEFAULT)
    except (OSError, ValueError):
        return KERAS_DEFAULT


def is_installed(name: str) -> bool:
    """Whether there is a package of that name, unimported."""
    spec = importlib.util.find_spec(name)
    # No origin: a folder of that name that is not a package.
    return spec is not None and spec.origin is not None
