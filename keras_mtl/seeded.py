"""Random draws that repeat: a seed and a counter, saved with the model."""

from typing import Any

import keras
from keras import ops


def checked_seed(seed: Any) -> int | None:
    """Returns `seed`, or raises `ValueError` for anything but a seed."""
    if seed is not None and (
        isinstance(seed, bool)
        or not isinstance(seed, int)
        or not 0 <= seed < 2**31
    ):
        raise ValueError(
            "Argument `seed` must be None or an integer from 0 to 2^31 - 1. "
            f"Received: seed={seed}"
        )
    return seed


def next_seed(generator: keras.random.SeedGenerator) -> Any:
    """Returns seed and counter, and counts one up.

    `generator.next()` in operations that `torch.compile` takes.

    Args:
        generator: A seed generator that belongs to a component.

    Returns:
        Integer tensor `[2]`, for `keras_mtl.solvers.random_numbers`.
    """
    state = generator.state
    # A copy: torch assigns in place.
    seed = state.value * 1
    state.assign(seed + ops.arange(2, dtype=state.dtype))
    return seed


def reset_seed(generator: keras.random.SeedGenerator) -> None:
    """Sets the counter back, so that the same numbers are drawn again."""
    state = generator.state
    state.assign(state.value * (1 - ops.arange(2, dtype=state.dtype)))
