"""Arithmetic on task gradients, and on the small tensors of solvers.

What takes `keras.ops` longer, or several passes over the memory, has its own
form for a framework. So has what depends on how tensors lie in memory.
"""

from collections.abc import Iterable
from collections.abc import Sequence

from keras import ops

from keras_mtl.typing import Tensor
from keras_mtl.typing import Tensors

__all__ = [
    "STACKS_LABELS",
    "STACKS_ROWS",
    "STACK_FROM",
    "all_finite",
    "as_matrices",
    "as_vectors",
    "combine_rows",
    "gather_rows",
    "gramian",
    "inner_products",
    "lerp",
    "row_products",
    "small_product",
    "squared_norm",
    "stack_rows",
    "subtract",
    "weighted_sum",
]

#: From this number of tasks on, task gradients are stacked by variable, or
#: inner products taken for all pairs at once: one matrix product then is
#: faster than one inner product per pair.
STACK_FROM = 4

#: Whether inner products need the stacks.
STACKS_ROWS = True

#: Whether labels of several tasks are looked at as one stack.
STACKS_LABELS = True


# Rows of a Jacobian.


def gather_rows(
    rows: Iterable[Sequence[Tensor]], num_rows: int
) -> tuple[list[Sequence[Tensor]] | None, list[Tensor] | None]:
    """Collects rows of tensors as they come, one row or one stack at a time.

    Args:
        rows: Iterable of lists of tensors, the same shapes in each.
        num_rows: How many there are.

    Returns:
        `(rows, stacks)`, of which one is `None`: a list of the rows, or one
        tensor `[num_rows, *shape]` per place in a row.
    """
    raise NotImplementedError


def stack_rows(tensors: Sequence[Tensor]) -> Tensor:
    """Returns tensors of one shape as one `[K, *shape]`.

    Args:
        tensors: List of K tensors.
    """
    return ops.stack(tensors, axis=0)


def as_vectors(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Returns tensors of one shape as vectors, with their entries in one order.

    In the order in which memory has them, where all have the same.

    Args:
        tensors: List of tensors `[*shape]`.
    """
    return [ops.reshape(tensor, (-1,)) for tensor in tensors]


def as_matrices(stacks: Sequence[Tensor]) -> list[Tensor]:
    """Returns stacks `[K, *shape]` of one shape as `[K, P]`, likewise.

    Args:
        stacks: List of tensors.
    """
    return [ops.reshape(stack, (stack.shape[0], -1)) for stack in stacks]


def combine_rows(weights: Tensor, stack: Tensor) -> Tensor:
    """Returns the sum of the rows of a stack, each times a scalar.

    Args:
        weights: Tensor `[K]`.
        stack: Tensor `[K, *shape]`.
    """
    (matrix,) = as_matrices([stack])
    # The shape is known only later where it holds the size of a batch.
    return ops.reshape(weights[None, :] @ matrix, ops.shape(stack)[1:])


def gramian(matrix: Tensor) -> Tensor:
    """Returns the inner products `[K, K]` of the rows of `[K, P]`.

    Args:
        matrix: Tensor.
    """
    return matrix @ ops.transpose(matrix)


def inner_products(vectors: Tensors) -> Tensor:
    """Returns the Gramian `[K, K]` of a list of K vectors of one length."""
    raise NotImplementedError


def row_products(left: Tensor, right: Tensor) -> Tensor:
    """Returns the inner product of each row of `[K, P]` with the other's."""
    raise NotImplementedError


# Gradients.


def squared_norm(tensors: Tensors) -> Tensor:
    """Returns the sum of the squares of all entries of some tensors."""
    raise NotImplementedError


def weighted_sum(
    weights: Sequence[Tensor], tensors: Sequence[Tensor]
) -> Tensor:
    """Returns the sum of tensors of one shape, each times a scalar."""
    total = weights[0] * tensors[0]
    for weight, tensor in zip(weights[1:], tensors[1:], strict=True):
        total = total + weight * tensor
    return total


def subtract(left: Tensor, right: Tensor) -> Tensor:
    """Returns `left - right`; `left` must not be used any more."""
    return left - right


def lerp(
    start: Tensor, end: Tensor, weight: Tensor, reuse: bool = False
) -> Tensor:
    """`start + weight * (end - start)`, which is `start` where weight is 0.

    Args:
        start: Tensor.
        end: Tensor of its shape.
        weight: Tensor that broadcasts to it.
        reuse: Whether the memory of `end` may serve the result.
    """
    return start + weight * (end - start)


def all_finite(tensors: Sequence[Tensor]) -> Tensor:
    """Bool scalar: no NaN or infinity in any of the tensors."""
    return ops.all(
        ops.stack([ops.all(ops.isfinite(tensor)) for tensor in tensors])
    )


# Solvers.


def small_product(left: Tensor, right: Tensor) -> Tensor:
    """Returns the matrix product of small tensors, vectors or matrices."""
    return ops.matmul(left, right)
