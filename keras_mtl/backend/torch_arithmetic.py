"""torch: arithmetic on task gradients in few passes over the memory."""

import torch
from keras import ops

from keras_mtl.backend.torch_layout import in_memory_order
from keras_mtl.backend.torch_layout import new_stack

#: Numbers of rows whose Gramian is taken piece by piece, and the length of a
#: piece: of so few rows, a matrix product of whole rows takes up to 2.5 times
#: as long.
FEW_ROWS = range(3, 16)
PIECE = 2**14


def gather_rows(rows, num_rows):
    """Collects rows of tensors as they come, one row or one stack at a time.

    Args:
        rows: Iterable of lists of tensors, the same shapes in each.
        num_rows: How many there are.

    Returns:
        `(rows, stacks)`, of which one is `None`: a list of the rows, or one
        tensor `[num_rows, *shape]` per place in a row.
    """
    stacks = []
    for k, row in enumerate(rows):
        if not stacks:
            stacks = [new_stack(tensor, num_rows) for tensor in row]
        # While the row is in the cache, and so that its memory serves the
        # next one.
        for stack, tensor in zip(stacks, row, strict=True):
            stack[k].copy_(tensor)
    return None, stacks


def lerp(start, end, weight, reuse=False):
    """`start + weight * (end - start)`, which is `start` where weight is 0.

    Args:
        start: Tensor.
        end: Tensor of its shape.
        weight: Tensor that broadcasts to it.
        reuse: Whether the memory of `end` may serve the result.
    """
    # One pass over the memory instead of three.
    return torch.lerp(start, end, weight, out=end if reuse else None)


def gramian(matrix):
    """Returns the inner products `[K, K]` of the rows of `[K, P]`."""
    count, size = matrix.shape
    if count not in FEW_ROWS or size < 2 * PIECE:
        return matrix @ matrix.T
    num_pieces = size // PIECE
    whole = num_pieces * PIECE
    pieces = matrix[:, :whole].unflatten(1, (num_pieces, PIECE))
    pieces = pieces.transpose(0, 1)
    rest = matrix[:, whole:]
    return torch.bmm(pieces, pieces.mT).sum(0) + rest @ rest.T


def inner_products(vectors):
    """Returns the Gramian `[K, K]` of a list of K vectors of one length."""
    matrix = torch.stack(vectors)
    return matrix @ matrix.T


def small_product(left, right):
    """Returns the matrix product of small tensors, vectors or matrices."""
    return ops.matmul(left, right)


def row_products(left, right):
    """Returns the inner product of each row of `[K, P]` with the other's."""
    # No copy of all products, and an eighth of the time of a batched product.
    return torch.stack(
        [torch.dot(a, b) for a, b in zip(left, right, strict=True)]
    )


def squared_norm(tensors):
    """Returns the sum of the squares of all entries of some tensors."""
    # One pass over the memory instead of two, and fewer operations.
    norms = torch._foreach_norm(tensors)
    return torch.stack(norms).square().sum()


def weighted_sum(weights, tensors):
    """Returns the sum of tensors of one shape, each times a scalar."""
    # One pass over the memory for each, and memory for the result alone.
    total = weights[0] * tensors[0]
    for weight, tensor in zip(weights[1:], tensors[1:], strict=True):
        total.addcmul_(weight, tensor)
    return total


def subtract(left, right):
    """Returns `left - right`; `left` must not be used any more."""
    return left.sub_(right)


def all_finite(tensors):
    """Bool scalar: no NaN or infinity in any of the tensors."""
    # Eagerly, extremes take a sixth of the time of `isfinite` and `all`.
    extremes = [
        extreme
        for tensor in tensors
        if tensor.numel()
        # It would copy what is not contiguous.
        for extreme in torch.aminmax(in_memory_order(tensor))
    ]
    if not extremes:
        return torch.tensor(True)
    return torch.isfinite(torch.stack(extremes)).all()
