"""Differentiable samples of a choice among a few."""

from typing import Any

import keras
from keras import ops

#: The smallest exponential variate: keeps its logarithm finite.
SMALLEST = 1e-20


def gumbel_softmax(
    logits: Any,
    temperature: Any,
    seed: keras.random.SeedGenerator,
    hard: bool = False,
) -> Any:
    """Draws from the categorical distribution with these logits, relaxed.

    `softmax((logits + noise) / temperature)` with noise of the standard
    Gumbel distribution. Its largest entry is at i with probability
    `softmax(logits)[i]` at any temperature.

    Args:
        logits: Float tensor `[..., N]`.
        temperature: Positive number or scalar tensor. Close to 0 a draw is
            close to a one-hot vector, far above it to `1 / N` throughout.
        seed: Generator that the noise comes from.
        hard: Whether to return one-hot vectors, with the gradient of the
            relaxed ones. Defaults to `False`.

    Returns:
        Tensor of the shape of `logits`, of sums 1 along the last axis.
    """
    uniform = keras.random.uniform(
        ops.shape(logits), dtype=logits.dtype, seed=seed
    )
    # `1 - uniform` is never 0: `-log` of it has the exponential distribution.
    exponential = ops.maximum(-ops.log1p(-uniform), SMALLEST)
    relaxed = ops.softmax((logits - ops.log(exponential)) / temperature)
    if not hard:
        return relaxed
    chosen = ops.one_hot(
        ops.argmax(relaxed, axis=-1), logits.shape[-1], dtype=logits.dtype
    )
    return chosen - ops.stop_gradient(relaxed) + relaxed
