"""Losses and weights with one entry per task, some of them absent."""

from typing import Any

from keras import ops

#: Logarithms of weights are kept within this, so that they stay finite.
LARGEST_EXPONENT = 1e30


def required_losses(method: str, losses: Any, dtype: str) -> Any:
    """Returns the losses, or raises `ValueError` if there are none."""
    if losses is None:
        raise ValueError(
            f"{method} needs the task losses: call it with `losses`."
        )
    return ops.cast(losses, dtype)


def at_least_one(counts: Any) -> Any:
    """Returns the entries, those below 1 replaced by 1."""
    # `ops.maximum` computes float64 in float32 on torch.
    return ops.where(counts > 1, counts, ops.ones_like(counts))


def keep_absent(present: Any, new: Any, old: Any) -> Any:
    """Returns the new values of present tasks, and the old ones of others.

    Args:
        present: Tensor `[K]`, positive for present tasks.
        new: Tensor `[K]` of weights with sum 1 over present tasks.
        old: Tensor `[K]` of weights with any sum.

    Returns:
        Tensor `[K]`. Present tasks have the share of the sum that they had,
        so that those who wait do not gain or lose against them.
    """
    share = ops.sum(ops.where(present > 0, old, ops.zeros_like(old)))
    return ops.where(present > 0, new * share, old)


def multiplied_weights(logits: Any, exponents: Any, present: Any) -> Any:
    """Multiplies weights by exponentials, given the weights' logarithms.

    Args:
        logits: Tensor `[K]` of logarithms of weights.
        exponents: Tensor `[K]`: weights are multiplied by `exp(exponents)`.
        present: Tensor `[K]`, 1 for present tasks, 0 for absent.

    Returns:
        Tensor `[K]` of logarithms, scaled so that present tasks keep the
        share of the sum that they had: they do not grow with the number of
        steps. Those of absent tasks are what they were, bit for bit.
    """
    raised = logits + ops.clip(exponents, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    shift = _log_sum(raised, present) - _log_sum(logits, present)
    raised = ops.clip(raised - shift, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    return ops.where(present > 0, raised, logits)


def _log_sum(logits, present):
    """Logarithm of the sum of the exponentials of present entries."""
    inside = present > 0
    zeros = ops.zeros_like(logits)
    largest = ops.amax(ops.where(inside, logits, zeros - 3 * LARGEST_EXPONENT))
    shares = ops.exp(ops.where(inside, logits - largest, zeros))
    shares = ops.where(inside, shares, zeros)
    return largest + ops.log(at_least_one(ops.sum(shares)))
