"""Training that is killed at any moment ends as if it had not been."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training import resume_child

ROOT = Path(__file__).parent.parent.parent
KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Returns `run(checkpoint, strategy, folder, *moment)` -> exit code."""
    settings = {
        "PYTHONPATH": str(ROOT),
        # On JAX, what one process has compiled serves the others.
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.training.resume_child"],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(*arguments):
        server.stdin.write(json.dumps([str(it) for it in arguments]) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline())

    with contextlib.closing(server.stdin), contextlib.closing(server.stdout):
        yield ask
    server.wait()


def killed_and_whole(run, folder, checkpoint, strategy, moments):
    """Compares a run that is killed at moments with one that is not.

    Args:
        run: The fixture.
        folder: An empty folder.
        checkpoint: What saves, one of those of `resume_child`.
        strategy: Name of the strategy.
        moments: Called with the number of calls in a save; returns moments.
    """
    whole, killed = folder / "whole", folder / "killed"
    whole.mkdir()
    killed.mkdir()
    assert run(checkpoint, strategy, whole) == 0
    for moment in moments(int((whole / "calls.txt").read_text())):
        assert run(checkpoint, strategy, killed, moment) == KILLED
    # The same command.
    assert run(checkpoint, strategy, killed) == 0
    expected = np.load(whole / "state.npz")
    actual = np.load(killed / "state.npz")
    assert actual.files == expected.files
    for name in expected.files:
        np.testing.assert_array_equal(actual[name], expected[name], name)
    left = [it.name for it in killed.rglob("*") if it.name.endswith(".tmp")]
    assert left == []


# Saving is the same on TensorFlow; JAX keeps weights elsewhere in an epoch.
@pytest.mark.slow_on("tensorflow")
def test_killed_between_and_within_saves(run, tmp_path):
    def moments(calls):
        return ["batch:5", f"save:{calls // 2}"]

    killed_and_whole(run, tmp_path, "backup", "famo", moments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "checkpoint", "strategy"),
    [
        (number, ("backup", "model", "weights")[number % 3], name)
        for number, name in enumerate(resume_child.STRATEGIES)
    ],
)
def test_killed_at_random_moments(run, tmp_path, seed, checkpoint, strategy):
    generator = random.Random(seed)

    def moments(calls):
        for _ in range(4):
            moment = generator.choice(["batch", "save"])
            most = calls if moment == "save" else 2 * resume_child.STEPS
            yield f"{moment}:{generator.randint(1, most)}"

    killed_and_whole(run, tmp_path, checkpoint, strategy, moments)
