"""Losses and weights with one entry per task, some of them absent."""

from typing import Any

from keras import ops

from keras_mtl.typing import Tensor

#: Logarithms of weights are kept within this, so that they stay finite.
LARGEST_EXPONENT = 1e30


def required_losses(method: str, losses: Tensor, dtype: str) -> Tensor:
    """Returns the losses, or raises `ValueError` if there are none."""
    if losses is None:
        raise ValueError(
            f"{method} needs the task losses: call it with `losses`."
        )
    return ops.cast(losses, dtype)


def undefined_below(
    lowest: Any, weights: Tensor, losses: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Makes weights NaN that a method does not define, so that steps fail.

    A method that takes the logarithm of a loss, or divides by it, would take
    a smaller one for the best there is, and the other tasks would starve.

    Args:
        lowest: The smallest losses that the method is defined for: a number
            or a tensor `[K]`.
        weights: Tensor `[K]`.
        losses: Tensor `[K]` of task losses.
        mask: Optional tensor `[K]`, positive for present tasks. The losses of
            absent ones say nothing. Defaults to `None`, all present.

    Returns:
        Tensor `[K]`: the weights, NaN where a loss is below the lowest.
    """
    undefined = losses < lowest
    if mask is not None:
        # A mask of bools cannot be compared with a number on TensorFlow.
        undefined = ops.logical_and(undefined, ops.cast(mask, losses.dtype) > 0)
    return ops.where(undefined, float("nan"), weights)


def at_least_one(counts: Tensor) -> Tensor:
    """Returns the entries, those below 1 replaced by 1."""
    # `ops.maximum` computes float64 in float32 on torch.
    return ops.where(counts > 1, counts, ops.ones_like(counts))


def power(base: Any, exponent: float) -> Tensor:
    """Returns `base ** exponent` in the dtype of the base.

    torch rounds a number in place of a tensor to float32.
    """
    return ops.power(base, ops.convert_to_tensor(exponent, dtype=base.dtype))


def keep_absent(present: Tensor, new: Any, old: Any) -> Tensor:
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


def multiplied_weights(
    logits: Tensor, exponents: Any, present: Tensor
) -> Tensor:
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
    shift = _log_of_growth(logits, raised, present)
    raised = ops.clip(raised - shift, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    return ops.where(present > 0, raised, logits)


def _log_of_growth(old: Tensor, new: Tensor, present: Tensor) -> Tensor:
    """Logarithm of the quotient of the sums of exponentials, new by old.

    From the growth of each entry, so that small steps do not drown in the
    rounding errors of the two sums.
    """
    old_largest, old = _below_largest(old, present)
    new_largest, new = _below_largest(new, present)
    shares = _exponentials(old, present)
    steps = new - old
    is_small = ops.abs(steps) < 1
    # The clipping keeps what is not taken finite.
    growth = ops.where(
        is_small,
        shares * ops.expm1(ops.clip(steps, -1.0, 1.0)),
        _exponentials(new, present) - shares,
    )
    # The largest share is 1: where no task is present, nothing grows.
    total = at_least_one(ops.sum(shares))
    return (new_largest - old_largest) + ops.log1p(ops.sum(growth) / total)


def _below_largest(logits: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the largest present entry, and all less that, 0 if absent."""
    zeros = ops.zeros_like(logits)
    inside = present > 0
    largest = ops.amax(ops.where(inside, logits, zeros - 3 * LARGEST_EXPONENT))
    return largest, ops.where(inside, logits - largest, zeros)


def _exponentials(logits: Tensor, present: Tensor) -> Tensor:
    return ops.where(present > 0, ops.exp(logits), ops.zeros_like(logits))
