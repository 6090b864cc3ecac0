"""Random numbers from integer hashing, the same on every backend.

The random numbers of the backends differ, so those of this package come from
a hash of (seed, counter, place) in 32-bit integers: the same seed gives the
same answer on TensorFlow, JAX and torch, in a compiled step or by hand.
"""

import math
from typing import Any

from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


def random_orders(xp: Namespace, seed: Tensor, num_tasks: int) -> Tensor:
    """Returns `K` random permutations of `0, ..., K - 1`.

    Args:
        xp: Namespace of array functions.
        seed: Integer tensor `[2]`, seed and counter, as
            `keras.random.SeedGenerator.next()` gives it.
        num_tasks: Number of tasks K.

    Returns:
        Integer tensor `[K, K]`, one permutation per row.
    """
    keys = _keys(xp, seed, num_tasks * num_tasks)
    keys = xp.reshape(keys, (num_tasks, num_tasks))
    # The low bits are the place in the row: no two keys are equal, and the
    # order does not depend on how a backend breaks ties.
    low_bits = 2 ** max(num_tasks - 1, 1).bit_length() - 1
    columns = xp.arange(num_tasks, dtype="int32")
    keys = xp.bitwise_or(
        xp.bitwise_and(keys, _filled(xp, keys, ~low_bits)), columns
    )
    return xp.cast(xp.argsort(keys, axis=-1), "int32")


def random_uniform(
    xp: Namespace, seed: Tensor, size: int, dtype: Any, start: int = 0
) -> Tensor:
    """Returns `size` numbers between 0 and 1, uniformly distributed.

    Args:
        xp: Namespace of array functions.
        seed: Integer tensor `[2]`, as for `random_orders`.
        size: How many.
        dtype: Dtype of the result.
        start: Place of the first one in the endless row of numbers that a
            seed and a counter have. Defaults to `0`.

    Returns:
        Tensor `[size]`, multiples of 2^-23 plus half of it: 0 and 1 do not
        occur, in any dtype from float32 on.
    """
    keys = _shift_right(xp, _keys(xp, seed, size, start), 9)
    return (xp.cast(keys, dtype) + 0.5) * 2.0**-23


def random_normal(
    xp: Namespace, seed: Tensor, size: int, dtype: Any, start: int = 0
) -> Tensor:
    """Returns `size` numbers of the standard normal distribution.

    By the transform of Box and Muller.

    Args:
        xp: Namespace of array functions.
        seed: Integer tensor `[2]`, as for `random_orders`.
        size: How many.
        dtype: Dtype of the result.
        start: As for `random_uniform`. Defaults to `0`.

    Returns:
        Tensor `[size]`.
    """
    uniform = random_uniform(xp, seed, 2 * size, dtype, 2 * start)
    uniform = xp.reshape(uniform, (2, size))
    lengths = xp.sqrt(-2.0 * xp.log(uniform[0]))
    return lengths * xp.cos(2.0 * math.pi * uniform[1])


def _keys(xp: Namespace, seed: Tensor, size: int, start: int = 0) -> Tensor:
    """Returns `[size]` random 32-bit integers, from place `start` on."""
    # uint32, int32 or int64, by backend.
    seed = xp.cast(seed, "int32")
    # Odd constants near 2^32 divided by the golden ratio and by pi.
    places = xp.arange(start, start + size, dtype="int32") * -1640531535
    keys = _mix(xp, xp.bitwise_xor(places, seed[:1]))
    return _mix(xp, keys + seed[1:] * 1367130551)


def _mix(xp: Namespace, x: Tensor) -> Tensor:
    """Spreads every bit of 32-bit integers over all bits, one to one."""
    for shift, factor in ((16, -2048144789), (13, -1028477387), (16, 1)):
        x = xp.bitwise_xor(x, _shift_right(xp, x, shift)) * factor
    return x


def _shift_right(xp: Namespace, x: Tensor, bits: int) -> Tensor:
    """Shifts in zeros, where the shift of signed integers copies the sign."""
    shifted = xp.bitwise_right_shift(x, _filled(xp, x, bits))
    return xp.bitwise_and(shifted, _filled(xp, x, 2 ** (32 - bits) - 1))


def _filled(xp: Namespace, x: Tensor, value: int) -> Tensor:
    # `ops.full_like`, on torch, reads the number back from the device.
    return xp.zeros_like(x) + value
