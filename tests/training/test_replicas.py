"""Several replicas with a part of each batch do what one does with all."""

import contextlib
import functools
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
LATER = [name for name in replicas.STRATEGIES if name not in NAMES]

#: Of processes or devices that divide a batch.
COUNT = 8 if toy.BACKEND == "jax" else 2
PROCESSES = COUNT if toy.BACKEND == "torch" else 1

#: What two workers of TensorFlow train with, each of which compiles it.
WORKER_NAMES = ("ew", "mgda", "db_mtl")

on_tensorflow = pytest.mark.skipif(
    toy.BACKEND != "tensorflow", reason="Other backends have other tests."
)


def run(kind, names, folder, processes=1, devices=1):
    """Trains elsewhere; returns what reads what a replica ends with."""
    count = processes * devices
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.socket()) for _ in range(count)]
        for server in servers:
            server.bind(("127.0.0.1", 0))
        addresses = ["{}:{}".format(*s.getsockname()) for s in servers]
    module = "training.replicas_child"
    command = [sys.executable, "-m", module, kind, folder, count]
    children = [
        subprocess.Popen(
            [*map(str, command), str(rank), *names],
            cwd=Path(__file__).parents[1],
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "REPLICAS_ADDRESSES": ",".join(addresses),
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


@functools.cache
def end_of_one(name):
    """What one device ends with."""
    return toy.arrays(replicas.variables(replicas.fitted(name)))


def assert_same_on_all(ends, name, count):
    for replica in range(1, count):
        toy.assert_same(ends(name, 0), ends(name, replica))


def assert_as_one(name, found):
    toy.assert_near(found, end_of_one(name), atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where runs write to, with a model that one device has begun."""
    folder = tmp_path_factory.mktemp("replicas")
    replicas.fitted("db_mtl").save(folder / "begun.keras")
    return folder


@pytest.fixture(scope="module")
def ends(folder):
    """What each of the replicas ends with, by strategy."""
    names = [*NAMES, *replicas.WITH_DROPOUT, str(folder / "begun.keras")]
    if toy.BACKEND != "torch":
        names += replicas.WITHOUT_STRATEGY
    return run(toy.BACKEND, names, folder, PROCESSES, COUNT // PROCESSES)


@pytest.fixture(scope="module")
def later_ends(tmp_path_factory):
    """The same of the strategies that are left out where they take long."""
    folder = tmp_path_factory.mktemp("later")
    return run(toy.BACKEND, LATER, folder, PROCESSES, COUNT // PROCESSES)


@pytest.mark.parametrize("name", NAMES)
def test_replicas_agree_with_each_other_and_with_one(ends, name):
    assert_same_on_all(ends, name, COUNT)
    assert_as_one(name, ends(name, 0))


@pytest.mark.slow
@pytest.mark.parametrize("name", LATER)
def test_replicas_of_other_strategies_agree(later_ends, name):
    assert_same_on_all(later_ends, name, COUNT)
    assert_as_one(name, later_ends(name, 0))


@pytest.mark.skipif(
    toy.BACKEND == "torch", reason="Processes without a strategy are alone."
)
@pytest.mark.parametrize("name", replicas.EVALUATED)
def test_replicas_find_the_losses_that_one_finds(ends, name):
    assert_same_on_all(ends, name, COUNT)
    alone = replicas.fitted(name)
    expected = toy.arrays(replicas.variables(alone))
    toy.assert_near(ends(name, 0), expected, atol=1e-5, rtol=1e-5)
    (found,) = ends(name, "losses")
    np.testing.assert_allclose(found, replicas.losses(alone), rtol=1e-5)


@pytest.mark.parametrize("name", replicas.WITH_DROPOUT)
def test_replicas_agree_with_dropout(ends, name):
    assert_same_on_all(ends, name, COUNT)
    assert all(np.isfinite(array).all() for array in ends(name, 0))


def test_replicas_go_on_with_what_one_device_began(ends, folder):
    assert_same_on_all(ends, "begun", COUNT)
    alone = replicas.fitted(str(folder / "begun.keras"))
    expected = toy.arrays(replicas.variables(alone))
    toy.assert_near(ends("begun", 0), expected, atol=1e-5, rtol=1e-5)


def test_one_device_goes_on_with_what_replicas_began(ends, folder):
    model = keras.models.load_model(folder / "db_mtl-model.keras")
    toy.assert_same(ends("db_mtl", 0), toy.arrays(replicas.variables(model)))
    toy.step(model)


@pytest.fixture(scope="module")
def worker_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def worker_ends(worker_folder, folder):
    """What each of two workers of TensorFlow ends with."""
    names = [*WORKER_NAMES, "keras", str(folder / "begun.keras")]
    return run("tensorflow_processes", names, worker_folder, processes=2)


@on_tensorflow
@pytest.mark.parametrize("name", [*WORKER_NAMES, "keras"])
def test_workers_agree_with_each_other_and_with_one(worker_ends, name):
    assert_same_on_all(worker_ends, name, 2)
    assert_as_one(name, worker_ends(name, 0))


@on_tensorflow
def test_workers_go_on_with_what_one_device_began(worker_ends, folder):
    assert_same_on_all(worker_ends, "begun", 2)
    alone = replicas.fitted(str(folder / "begun.keras"))
    expected = toy.arrays(replicas.variables(alone))
    toy.assert_near(worker_ends("begun", 0), expected, atol=1e-5, rtol=1e-5)


@on_tensorflow
def test_one_device_goes_on_with_what_the_first_worker_saved(
    worker_ends, worker_folder
):
    model = keras.models.load_model(worker_folder / "db_mtl-model.keras")
    found = toy.arrays(replicas.variables(model))
    toy.assert_same(worker_ends("db_mtl", 0), found)
    assert model.checkpoint_record.finished_epochs == 2
    toy.step(model)


@on_tensorflow
@pytest.mark.parametrize("name", replicas.EVALUATED)
def test_workers_evaluate_predict_and_step_together(worker_ends, name):
    alone = replicas.fitted(name)
    x, _ = toy.data(3 * replicas.BATCH, seed=1)
    losses, outputs = replicas.losses(alone), alone.predict(x, verbose=0)
    for rank in range(2):
        found, *predictions = worker_ends(name, f"results-{rank}")
        np.testing.assert_allclose(found, losses, rtol=1e-5)
        toy.assert_near(predictions, list(outputs.values()), atol=1e-5)
    step = replicas.after_a_batch(alone)
    for rank in range(2):
        toy.assert_near(worker_ends(name, f"step-{rank}"), step, 1e-5, 1e-5)


@pytest.mark.slow
@on_tensorflow
def test_workers_of_all_strategies(tmp_path):
    names = [name for name in replicas.STRATEGIES if name not in WORKER_NAMES]
    names += replicas.WITH_DROPOUT
    ends = run("tensorflow_processes", names, tmp_path, processes=2)
    for name in names:
        assert_same_on_all(ends, name, 2)
        if name in replicas.STRATEGIES:
            assert_as_one(name, ends(name, 0))


@on_tensorflow
def test_other_strategies_are_refused_before_anything_changes(tmp_path):
    run("tensorflow_refused", [], tmp_path, devices=2)


@pytest.mark.skipif(toy.BACKEND != "torch", reason="Others send on their own.")
@pytest.mark.parametrize("name", replicas.COUNTED)
def test_what_is_sent_is_what_the_documentation_says(ends, name):
    tasks, shared, own = 3, 6 * 8 + 8, 3 * (8 + 1)
    of_shared, of_losses, passes = replicas.COUNTED[name](tasks, shared)
    for rank in range(2):
        (sizes,) = ends(name, f"sent-{rank}")
        assert sizes[0] == 2 * tasks + 1
        assert sizes[1:].sum() == of_shared + of_losses + passes * own


@pytest.mark.skipif(toy.BACKEND != "jax", reason="torch's are above.")
def test_two_processes_of_jax(tmp_path):
    names = ("mgda", "db_mtl")
    ends = run("jax_processes", names, tmp_path, processes=2)
    for name in names:
        assert_same_on_all(ends, name, 2)
        assert_as_one(name, ends(name, 0))


def assert_divided_model_agrees(names, folder, parts):
    ends = run("divided_model", [str(parts), *names], folder, devices=8)
    for name in names:
        assert_same_on_all(ends, name, 8)
        assert_as_one(name, ends(name, 0))


@pytest.mark.skipif(
    toy.BACKEND != "jax", reason="Keras divides models on JAX only."
)
def test_a_divided_model(tmp_path):
    names = ("ew", "famo", "mgda", "pcgrad", "db_mtl", "fs_mtl")
    assert_divided_model_agrees(names, tmp_path, parts=4)


@pytest.mark.slow
@pytest.mark.skipif(
    toy.BACKEND != "jax", reason="Keras divides models on JAX only."
)
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_divided_models_of_all_strategies(tmp_path, parts):
    assert_divided_model_agrees(replicas.STRATEGIES, tmp_path, parts)
