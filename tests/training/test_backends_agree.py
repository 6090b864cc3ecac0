"""The same weights after 50 steps on every backend."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training import agreement_child

ROOT = Path(__file__).parent.parent.parent
HERE = keras.backend.backend()
OTHERS = [
    name
    for name in ("tensorflow", "jax", "torch")
    if name != HERE and importlib.util.find_spec(name) is not None
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    if HERE != "jax":
        pytest.skip("one comparison serves all: it is made from JAX")
    folder = tmp_path_factory.mktemp("agreement")
    for name in ["jax", *OTHERS]:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.training.agreement_child",
                str(folder / f"{name}.npz"),
            ],
            check=True,
            cwd=ROOT,
            env={
                **os.environ,
                "KERAS_BACKEND": name,
                "PYTHONPATH": str(ROOT),
            },
        )
    return {name: np.load(folder / f"{name}.npz") for name in ["jax", *OTHERS]}


@pytest.mark.every_case
@pytest.mark.parametrize("other", ["tensorflow", "torch"])
@pytest.mark.parametrize("strategy", list(agreement_child.STRATEGIES))
def test_same_weights(weights, strategy, other):
    if other not in weights:
        pytest.skip(f"{other} is not installed")
    here, there = weights["jax"][strategy], weights[other][strategy]
    error = np.linalg.norm(here - there) / np.linalg.norm(here)
    assert error <= 1e-4, error
