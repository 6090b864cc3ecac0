"""Which versions made a result."""

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version

import keras_mtl

#: The packages whose versions matter to a result, by backend.
PACKAGES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax", "jaxlib"),
    "torch": ("torch",),
}


def versions_of(backend: str) -> dict[str, str]:
    """Returns versions by name, without importing the backend."""
    found = {
        "python": platform.python_version(),
        "keras_mtl": keras_mtl.__version__,
    }
    for package in ("keras", "numpy", *PACKAGES[backend]):
        number = _version(package)
        if number is not None:
            found[package] = number
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        # TensorFlow has two names; one of them is there.
        return None
