"""Functions of K task losses that leave absent tasks out."""

from typing import Any

from keras import ops

from keras_mtl.typing import Tensor

#: Losses below this are taken for it where they are divided by or their
#: logarithm is taken. Quotients of it and 1e15 are still finite in float32.
SMALLEST_LOSS = 1e-18

#: Below every score, and finite in float32.
LOWEST_SCORE = -3e38


def at_least(value: Any, low: float) -> Tensor:
    """Returns the larger of a tensor's entries and a number.

    In the tensor's own dtype; `ops.maximum` of float64 is float32 on torch.
    """
    return ops.where(value < low, low, value)


def at_most(value: Any, high: float) -> Tensor:
    """Returns the smaller of a tensor's entries and a number, as `at_least`."""
    return ops.where(value > high, high, value)


def presence(losses: Tensor, mask: Tensor | None = None) -> Tensor:
    """Returns 1 for present and 0 for absent tasks, in the losses' dtype."""
    if mask is None:
        return ops.ones_like(losses)
    return ops.cast(mask > 0, losses.dtype)


def positive_losses(losses: Tensor, present: Tensor) -> Tensor:
    """Returns losses that are at least `SMALLEST_LOSS`, 1 for absent tasks."""
    return ops.where(present > 0, at_least(losses, SMALLEST_LOSS), 1.0)


def count_present(present: Tensor) -> Tensor:
    """Returns how many tasks are present, but at least 1."""
    return at_least(ops.sum(present), 1.0)


def masked_softmax(
    scores: Any, present: Tensor, temperature: float = 1.0
) -> Tensor:
    """Returns the softmax over the present tasks, 0 for absent ones.

    Args:
        scores: Finite tensor `[K]`.
        present: Tensor `[K]`, 1 for present tasks, 0 for absent.
        temperature: Positive number by which the scores are divided, after
            the largest is subtracted: nothing overflows. Defaults to `1.0`.

    Returns:
        Tensor `[K]` that adds up to 1, or to 0 if nobody is there.
    """
    inside = present > 0
    largest = ops.amax(ops.where(inside, scores, LOWEST_SCORE))
    shifted = ops.where(inside, scores - largest, 0.0) / temperature
    shares = ops.exp(shifted) * present
    # The largest share is 1.
    return shares / at_least(ops.sum(shares), 1.0)


def unit_vector(vector: Tensor) -> tuple[Tensor, Tensor]:
    """Returns a vector divided by its length, and its length.

    Args:
        vector: Finite tensor `[K]`. Its squares may overflow.

    Returns:
        `(direction, length)`. A vector shorter than about 1e-30 has direction
        and length 0.
    """
    scale = ops.amax(ops.absolute(vector))
    active = scale > 1e-30
    scaled = ops.where(active, vector / ops.where(active, scale, 1.0), 0.0)
    length = ops.sqrt(ops.sum(scaled * scaled))
    direction = scaled / ops.where(active, length, 1.0)
    return direction, ops.where(active, scale * length, 0.0)
