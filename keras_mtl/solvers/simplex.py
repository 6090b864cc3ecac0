"""Projection onto the probability simplex."""

from keras_mtl.solvers.namespace import Graph
from keras_mtl.solvers.namespace import machine_epsilon
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


def project_onto_simplex(
    xp: Namespace, values: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Returns the point of the simplex that is nearest to `values`.

    The solution of `min ||p - v||` over `p >= 0`, `p_1 + ... + p_K = 1` is
    `p = max(v - t, 0)`, with the one threshold `t` for which `p` has sum 1.
    Sorted values tell which entries stay positive, so that it is exact, up to
    rounding errors, for values of any size.

    Args:
        xp: Namespace of array functions.
        values: Tensor `[K]`.
        mask: Optional tensor `[K]`, positive for entries that are present.
            Defaults to `None`, all present.

    Returns:
        Tensor `[K]`, non-negative, sum 1 and 0 for absent entries (0 for all
        if all are absent).

    References:
        Duchi et al., Efficient Projections onto the l1-Ball for Learning in
        High Dimensions, ICML 2008, figure 1.
    """
    num_entries = values.shape[0]
    ones = xp.ones_like(values)
    present = ones > 0 if mask is None else mask > 0
    largest = xp.max(xp.where(present, values, xp.full_like(values, -1e38)))
    # Relative to the largest entry the threshold is at least -1: an entry
    # that is further down gets nothing, how far ever.
    relative = xp.where(present, values - largest, -ones)
    relative = xp.clip(relative, -1.0, 0.0)
    ordered = -xp.sort(-relative)
    counts = xp.cast(xp.arange(1, num_entries + 1), values.dtype)
    positive = ordered * counts > xp.cumsum(ordered) - 1.0
    inside = xp.cast(positive, values.dtype)
    threshold = (xp.sum(ordered * inside) - 1.0) / xp.sum(inside)
    projected = xp.maximum(relative - threshold, 0.0)
    return xp.where(present, projected, xp.zeros_like(values))


def present_part(
    xp: Namespace, weights: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Returns the weights of present tasks, scaled to sum 1.

    Args:
        xp: Namespace of array functions.
        weights: Tensor `[K]`, non-negative.
        mask: Optional tensor `[K]`, positive for present tasks. Defaults to
            `None`, all present.

    Returns:
        Tensor `[K]`, 0 for absent tasks; equal weights where all of the
        present ones are 0.
    """
    zeros = xp.zeros_like(weights)
    present = xp.ones_like(weights) if mask is None else mask
    present = xp.where(present > 0, xp.ones_like(weights), zeros)
    part = xp.where(present > 0, weights, zeros)
    total = xp.sum(part)
    equal = present / xp.maximum(xp.sum(present), 1.0)
    return xp.where(
        total > 0, part / xp.where(total > 0, total, 1.0 + total), equal
    )


def masked_softmax(
    xp: Namespace, logits: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Returns the softmax of the entries that are present, 0 for the others.

    Args:
        xp: Namespace of array functions.
        logits: Tensor `[K]`.
        mask: Optional tensor `[K]`, positive for present tasks. Defaults to
            `None`, all present.

    Returns:
        Tensor `[K]`, sum 1 (0 if all tasks are absent).
    """
    zeros = xp.zeros_like(logits)
    present = zeros + 1.0 > 0 if mask is None else mask > 0
    largest = xp.max(xp.where(present, logits, xp.full_like(logits, -1e38)))
    shifted = xp.where(present, logits - largest, zeros)
    shares = xp.where(present, xp.exp(shifted), zeros)
    total = xp.sum(shares)
    return shares / xp.where(total > 0, total, 1.0 + total)


def graph_softmax(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    """`masked_softmax` where the tensors are, for learned task weights."""
    return masked_softmax(Graph(machine_epsilon(logits)), logits, mask)
