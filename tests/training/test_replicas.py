"""Several replicas with a part of each batch do what one does with all."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from training import replicas
from training import toy

NAMES = replicas.STRATEGIES if toy.BACKEND == "torch" else replicas.FIRST


def run(kind, names, folder, processes=1, devices=2):
    """Trains elsewhere; returns what reads what a replica ends with."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*server.getsockname())
    command = [sys.executable, "-m", "training.replicas_child", kind, folder]
    children = [
        subprocess.Popen(
            [*map(str, command), str(rank), *names],
            cwd=Path(__file__).parents[1],
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "REPLICAS_ADDRESS": address,
                "XLA_FLAGS": "--xla_force_host_platform_device_count="
                f"{devices}",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    errors = [child.communicate()[1] for child in children]
    assert not any(c.returncode for c in children), "\n".join(errors)

    def read(name, replica):
        with np.load(folder / f"{name}-{replica}.npz") as arrays:
            return [arrays[key] for key in arrays.files]

    return read


def assert_as_one(name, found):
    alone = replicas.fitted(name)
    expected = toy.arrays(replicas.variables(alone))
    toy.assert_near(found, expected, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where runs write to, with a model that one device has begun."""
    folder = tmp_path_factory.mktemp("replicas")
    replicas.fitted("db_mtl").save(folder / "begun.keras")
    return folder


@pytest.fixture(scope="module")
def ends(folder):
    """What each of two replicas ends with, by strategy."""
    processes = 2 if toy.BACKEND == "torch" else 1
    names = [*NAMES, *replicas.WITH_DROPOUT, str(folder / "begun.keras")]
    return run(toy.BACKEND, names, folder, processes)


@pytest.mark.parametrize("name", NAMES)
def test_replicas_agree_with_each_other_and_with_one(ends, name):
    first, second = (ends(name, replica) for replica in range(2))
    toy.assert_same(first, second)
    assert_as_one(name, first)


@pytest.mark.parametrize("name", replicas.WITH_DROPOUT)
def test_replicas_agree_with_dropout(ends, name):
    first, second = (ends(name, replica) for replica in range(2))
    toy.assert_same(first, second)
    assert all(np.isfinite(array).all() for array in first)


def test_two_replicas_go_on_with_what_one_device_began(ends, folder):
    alone = replicas.fitted(str(folder / "begun.keras"))
    expected = toy.arrays(replicas.variables(alone))
    toy.assert_near(ends("begun", 0), expected, atol=1e-5, rtol=1e-5)


def test_one_device_goes_on_with_what_two_replicas_began(ends, folder):
    model = keras.models.load_model(folder / "db_mtl-model.keras")
    toy.assert_same(ends("db_mtl", 0), toy.arrays(replicas.variables(model)))
    toy.step(model)


@pytest.mark.skipif(toy.BACKEND != "jax", reason="torch's are above.")
def test_two_processes_of_jax(tmp_path):
    names = ("mgda", "db_mtl")
    ends = run("jax_processes", names, tmp_path, processes=2, devices=1)
    for name in names:
        toy.assert_same(ends(name, 0), ends(name, 1))
        assert_as_one(name, ends(name, 0))


@pytest.mark.skipif(
    toy.BACKEND != "jax", reason="Keras divides models on JAX only."
)
def test_a_divided_model(tmp_path):
    names = ("mgda", "db_mtl", "fs_mtl")
    ends = run("divided_model", names, tmp_path)
    for name in names:
        assert_as_one(name, ends(name, 0))
