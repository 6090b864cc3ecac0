"""Random models, strategies and calls, for a moment or for as long as wanted.

The default form runs the same few examples each time. The long form goes on
until `FUZZ_SECONDS` (60) have passed, with one seed after the other from
`FUZZ_SEED` (0) on, and prints them:

    FUZZ_SECONDS=600 FUZZ_SEED=0 KERAS_BACKEND=jax python -m pytest \
        -m slow -n 0 -s tests/fuzzing

What it finds comes with the seed and the calls that led there.
"""

import os
import time

import hypothesis
import keras
import pytest
from hypothesis import HealthCheck
from hypothesis import Phase
from hypothesis.stateful import run_state_machine_as_test

from fuzzing.machine import TrainingMachine

SETTINGS = hypothesis.settings(
    deadline=None,
    database=None,
    print_blob=False,
    # Shrinking would take hours: every example compiles models.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def run(seed, examples, calls):
    """Runs a number of models with up to so many calls on each."""

    class Machine(TrainingMachine):
        pass

    run_state_machine_as_test(
        hypothesis.seed(seed)(Machine),
        settings=hypothesis.settings(
            SETTINGS,
            derandomize=False,
            max_examples=examples,
            stateful_step_count=calls,
        ),
    )


def test_a_few_calls():
    run(seed=0, examples=1, calls=4)


@pytest.mark.slow
def test_for_as_long_as_wanted():
    seconds = float(os.environ.get("FUZZ_SECONDS", "60"))
    first = int(os.environ.get("FUZZ_SEED", "0"))
    end = time.monotonic() + seconds
    seed = first
    while time.monotonic() < end:
        run(seed, examples=3, calls=8)
        seed += 1
    print(f"{keras.backend.backend()}: seeds {first} to {seed - 1} passed")
