"""Several replicas with a part of each batch do what one does with all."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from training import replicas
from training import toy

NAMES = replicas.STRATEGIES if toy.BACKEND == "torch" else replicas.FIRST


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """What each of two replicas ends with, by strategy."""
    folder = tmp_path_factory.mktemp("replicas")
    command = [sys.executable, "-m", "training.replicas_child", str(folder)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), *NAMES],
            cwd=Path(__file__).parents[1],
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2 if toy.BACKEND == "torch" else 1)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert not any(p.returncode for p in processes), "\n".join(errors)

    def read(name, replica):
        with np.load(folder / f"{name}-{replica}.npz") as arrays:
            return [arrays[key] for key in arrays.files]

    return read


@pytest.mark.parametrize("name", NAMES)
def test_replicas_agree_with_each_other_and_with_one(ends, name):
    first, second = (ends(name, replica) for replica in range(2))
    toy.assert_same(first, second)
    alone = replicas.fitted(name)
    expected = toy.arrays(replicas.variables(alone))
    toy.assert_near(first, expected, atol=1e-5, rtol=1e-5)
