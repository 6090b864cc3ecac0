"""Runs the example, with two devices on JAX and torch."""

import os
import re
import subprocess
import sys

import keras

from tests.examples.notebook_builder import EXAMPLES


def test_it_runs_on_what_there_is():
    backend = keras.backend.backend()
    launcher = [sys.executable]
    if backend == "torch":
        launcher += ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
        launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    done = subprocess.run(
        [*launcher, str(EXAMPLES / "many_devices.py")],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "KERAS_MTL_FAST": "1",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
            "OMP_NUM_THREADS": "1",
        },
    )
    assert done.returncode == 0, done.stderr
    sums = re.findall(r"weights add up to ([\d.]+)", done.stdout)
    assert len(sums) == (2 if backend == "torch" else 1)
    assert len(set(sums)) == 1
    accuracy = float(re.search("left accuracy ([\\d.]+)", done.stdout).group(1))
    assert accuracy > 0.1
