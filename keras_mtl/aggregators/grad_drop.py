"""Gradient sign dropout."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_number
from keras_mtl.arguments import checked_vector
from keras_mtl.export import keras_mtl_export
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.seeded import next_seed
from keras_mtl.solvers.random_numbers import random_uniform
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.GradDrop")
class GradDrop(Aggregator):
    """Entry by entry, either the positive or the negative gradients.

    Where tasks disagree about the sign of an entry, one sign is drawn, and
    the gradients of the other sign are dropped there: every step of an entry
    is one that the chosen tasks agree on. Noisy, like dropout, and cheap: one
    pass over the gradients, no inner products.

    For each entry with gradients `g_1, ..., g_K` and a number `u` drawn
    uniformly from (0, 1):

    `P = 1/2 (1 + sum_k g_k / sum_k |g_k|)`

    `m_k = 1` if `g_k > 0` and `P > u`, or `g_k < 0` and `P < u`, else 0

    `d = sum_k (leak_k + (1 - leak_k) m_k) g_k`

    The numbers come from a hash of the seed, a counter and the place of the
    entry: the same on every backend.

    Args:
        leak: How much of its gradient a task keeps where it is dropped, in
            [0, 1]: `None` for nothing, a number for all tasks, or one number
            per task. With 1 nothing is dropped. Defaults to `None`.
        seed: Optional integer, to draw the same numbers in every run.
            Defaults to `None`, a random seed.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `leak` is not in [0, 1], or `seed` not an integer, or,
            when called, if `leak` has another length than there are tasks.

    State:
        The seed and the number of calls, in a `keras.random.SeedGenerator`.

    Example:

    ```python
    grad_drop = keras_mtl.aggregators.GradDrop()
    grad_drop([[1.0, -2.0], [3.0, -1.0]])  # no conflict: [4.0, -3.0]
    ```

    References:
        Chen et al., Just Pick a Sign: Optimizing Deep Multitask Models with
        Gradient Sign Dropout, NeurIPS 2020, algorithm 1,
        [arXiv:2010.06808](https://arxiv.org/abs/2010.06808). The paper works
        on the gradients of a shared layer's output, one sign per entry of it
        for the whole batch; this, like TorchJD, works on the gradients of the
        shared variables.
    """

    def __init__(
        self,
        leak: float | Sequence[float] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.leak = checked_leak(leak)
        self.add_seed(seed)

    def aggregate(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        num_tasks, dtype = jacobian.num_tasks, jacobian.dtype
        if isinstance(self.leak, tuple):
            check_size("leak", self.leak, num_tasks)
        seed = next_seed(self.seed_generator)
        present = presence(num_tasks, mask, dtype)
        leak = ops.broadcast_to(
            ops.convert_to_tensor(self.leak or 0.0, dtype=dtype), (num_tasks,)
        )
        update, start = [], 0
        for stack in jacobian.stacks:
            # TensorFlow may learn the size of a batch later only.
            shape = ops.shape(stack)[1:]
            size = math.prod(shape)
            # One row of numbers for all variables, each has its own part.
            uniform = random_uniform(ops, seed, size, "float32", start)
            start += size
            kept = keep_one_sign(
                ops.cast(stack, dtype),
                ops.cast(ops.reshape(uniform, shape), dtype),
                leak,
                present,
            )
            update.append(ops.cast(kept, stack.dtype))
        return update

    def get_config(self) -> dict[str, Any]:
        leak = list(self.leak) if isinstance(self.leak, tuple) else self.leak
        return {**super().get_config(), "leak": leak, "seed": self.seed}


def keep_one_sign(
    stack: Tensor, uniform: Any, leak: Any, present: Tensor
) -> Tensor:
    """Returns the sum over tasks of what is left of their gradients.

    Args:
        stack: Tensor `[K, *shape]` of gradients.
        uniform: Tensor `[*shape]` of numbers between 0 and 1.
        leak: Tensor `[K]`, the share that a dropped entry keeps.
        present: Tensor `[K]`, 1 for present tasks, 0 for absent.

    Returns:
        Tensor `[*shape]`.
    """
    column = (-1,) + (1,) * (len(stack.shape) - 1)
    stack = ops.where(
        ops.reshape(present, column) > 0, stack, ops.zeros_like(stack)
    )
    leak = ops.reshape(leak, column)
    total = ops.sum(stack, axis=0)
    size = ops.sum(ops.abs(stack), axis=0)
    purity = 0.5 * (1.0 + total / ops.where(size > 0, size, 1.0))
    kept = ops.logical_or(
        ops.logical_and(purity > uniform, stack > 0),
        ops.logical_and(purity < uniform, stack < 0),
    )
    return ops.sum(ops.where(kept, stack, leak * stack), axis=0)


def checked_leak(leak: Any) -> float | tuple[float, ...] | None:
    """Returns `leak`, or raises `ValueError` for one out of range."""
    if leak is None:
        return None
    if np.ndim(leak) == 0:
        return checked_number("leak", leak, "[0, 1]")
    shares = checked_vector("leak", leak) or ()
    return tuple(checked_number("leak", share, "[0, 1]") for share in shares)
