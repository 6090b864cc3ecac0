"""Random numbers of a run: only those of its seed, as if nobody looked."""

import contextlib
import random
import sys
from collections.abc import Iterator

import keras
import numpy as np


def fresh_start(seed: int) -> None:
    """Forgets what earlier runs of the process left in Keras, and seeds it."""
    # In this order: clearing forgets the seed, too.
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    torch = sys.modules.get("torch")
    if torch is not None:
        # A DataLoader draws from it on every backend, Keras seeds it on one.
        torch.manual_seed(seed)


@contextlib.contextmanager
def random_state_kept() -> Iterator[None]:
    """Has what is done meanwhile leave global random numbers as they are.

    On torch, going through examples in their order draws one.
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    with contextlib.ExitStack() as stack:
        if torch is not None:
            stack.enter_context(torch.random.fork_rng())
        yield
    random.setstate(of_python)
    np.random.set_state(of_numpy)
