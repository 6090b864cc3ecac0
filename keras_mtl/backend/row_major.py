"""How gradients lie in memory where it is the framework's own business."""

from keras import ops


def as_vectors(tensors):
    """Returns tensors of one shape as vectors, with their entries in one order.

    Args:
        tensors: List of tensors `[*shape]`.
    """
    return [ops.reshape(tensor, (-1,)) for tensor in tensors]


def as_matrices(stacks):
    """Returns stacks `[K, *shape]` of one shape as `[K, P]`, likewise.

    Args:
        stacks: List of tensors.
    """
    return [ops.reshape(stack, (stack.shape[0], -1)) for stack in stacks]


def combine_rows(weights, stack):
    """Returns the sum of the rows of a stack, each times a scalar.

    Args:
        weights: Tensor `[K]`.
        stack: Tensor `[K, *shape]`.
    """
    (matrix,) = as_matrices([stack])
    # The shape is known only later where it holds the size of a batch.
    return ops.reshape(weights[None, :] @ matrix, ops.shape(stack)[1:])


def stack_rows(tensors):
    """Returns tensors of one shape as one `[K, *shape]`.

    Args:
        tensors: List of K tensors.
    """
    return ops.stack(tensors, axis=0)


def gramian(matrix):
    """Returns the inner products `[K, K]` of the rows of `[K, P]`.

    Args:
        matrix: Tensor.
    """
    return matrix @ ops.transpose(matrix)


def layout_of(gradient):
    """Returns how a gradient lies in memory, or `None` if nobody can tell."""
    return None


def take_layouts(variables, layouts, others):
    """Lays variables out in memory as their gradients come.

    Args:
        variables: List of trainable variables.
        layouts: What `layout_of` says of their gradients, by index.
        others: Function that returns a list of variables of which those of
            the same shapes, or of one such tensor per task, are to follow.

    Returns:
        Whether any was laid out in another way.
    """
    return False
