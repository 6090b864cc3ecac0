"""Random permutations from integer hashing, the same on every backend."""

from typing import Any


def random_orders(xp: Any, seed: Any, num_tasks: int) -> Any:
    """Returns `K` random permutations of `0, ..., K - 1`.

    The random numbers of the backends differ, so the permutations come from
    a hash of (seed, counter, place) in 32-bit integers instead: the same seed
    visits the tasks in the same order on TensorFlow, JAX and torch, in a
    compiled step or by hand.

    Args:
        xp: Namespace of array functions.
        seed: Integer tensor `[2]`, seed and counter, as
            `keras.random.SeedGenerator.next()` gives it.
        num_tasks: Number of tasks K.

    Returns:
        Integer tensor `[K, K]`, one permutation per row.
    """
    # uint32, int32 or int64, by backend.
    seed = xp.cast(seed, "int32")
    places = xp.reshape(
        xp.arange(num_tasks * num_tasks, dtype="int32"), (num_tasks, num_tasks)
    )
    # Odd constants near 2^32 divided by the golden ratio and by pi.
    keys = _mix(xp, xp.bitwise_xor(places * -1640531535, seed[:1]))
    keys = _mix(xp, keys + seed[1:] * 1367130551)
    # The low bits are the place in the row: no two keys are equal, and the
    # order does not depend on how a backend breaks ties.
    low_bits = 2 ** max(num_tasks - 1, 1).bit_length() - 1
    columns = xp.arange(num_tasks, dtype="int32")
    keys = xp.bitwise_or(
        xp.bitwise_and(keys, xp.full_like(keys, ~low_bits)), columns
    )
    return xp.cast(xp.argsort(keys, axis=-1), "int32")


def _mix(xp, x):
    """Spreads every bit of 32-bit integers over all bits, one to one."""
    for shift, factor in ((16, -2048144789), (13, -1028477387), (16, 1)):
        x = xp.bitwise_xor(x, _shift_right(xp, x, shift)) * factor
    return x


def _shift_right(xp, x, bits):
    """Shifts in zeros, where the shift of signed integers copies the sign."""
    shifted = xp.bitwise_right_shift(x, xp.full_like(x, bits))
    return xp.bitwise_and(shifted, xp.full_like(x, 2 ** (32 - bits) - 1))
