"""JAX: arithmetic on task gradients, and on the small tensors of solvers."""

import jax
import jax.numpy as jnp
from keras import ops

#: Number of terms up to which a product of matrices is written as a sum.
LARGEST_SUM = 2**16

#: Length of the pieces of vectors whose inner products fit into the cache.
BLOCK = 2048


def gather_rows(rows, num_rows):
    """Collects rows of tensors as they come, one row or one stack at a time.

    Args:
        rows: Iterable of lists of tensors, the same shapes in each.
        num_rows: How many there are.

    Returns:
        `(rows, stacks)`, of which one is `None`: a list of the rows, or one
        tensor `[num_rows, *shape]` per place in a row.
    """
    return list(rows), None


def lerp(start, end, weight, reuse=False):
    """`start + weight * (end - start)`, which is `start` where weight is 0.

    Args:
        start: Tensor.
        end: Tensor of its shape.
        weight: Tensor that broadcasts to it.
        reuse: Whether the memory of `end` may serve the result.
    """
    return start + weight * (end - start)


def inner_products(vectors):
    """Returns the Gramian `[K, K]` of a list of K vectors of one length."""
    size = vectors[0].shape[0]
    if size < 4 * BLOCK or jax.default_backend() != "cpu":
        return _gramian(vectors)
    if jax.device_count() > 1:
        # Pieces would be gathered from all devices.
        return _gramian(vectors)
    # The copy that stacks whole vectors would cost more than the product.
    num_blocks = size // BLOCK

    def add_block(index, total):
        start = (index * BLOCK,)
        return total + _gramian(
            [jax.lax.dynamic_slice(v, start, (BLOCK,)) for v in vectors]
        )

    rest = _gramian([vector[num_blocks * BLOCK :] for vector in vectors])
    return jax.lax.fori_loop(0, num_blocks, add_block, rest)


def _gramian(vectors):
    matrix = jnp.stack(vectors)
    return matrix @ matrix.T


def small_product(left, right):
    """Returns the matrix product of small tensors, vectors or matrices.

    XLA makes a program of its own for each product, and but one for all sums
    that are alike; with many tasks that is most of compiling a solver.
    """
    if left.ndim == 1:
        return (
            jnp.sum(left[:, None] * right, axis=-2)
            if right.ndim > 1
            else (jnp.sum(left * right))
        )
    if right.ndim == 1:
        return jnp.sum(left * right, axis=-1)
    if left.size * right.shape[-1] > LARGEST_SUM:
        return jnp.matmul(left, right)
    return jnp.sum(left[..., :, :, None] * right[..., None, :, :], axis=-2)


def row_products(left, right):
    """Returns the inner product of each row of `[K, P]` with the other's."""
    # Fused: the products are never written down.
    return jnp.sum(left * right, axis=1)


def squared_norm(tensors):
    """Returns the sum of the squares of all entries of some tensors."""
    return sum(jnp.sum(jnp.square(tensor)) for tensor in tensors)


def weighted_sum(weights, tensors):
    """Returns the sum of tensors of one shape, each times a scalar."""
    total = weights[0] * tensors[0]
    for weight, tensor in zip(weights[1:], tensors[1:], strict=True):
        total = total + weight * tensor
    return total


def subtract(left, right):
    """Returns `left - right`; `left` must not be used any more."""
    return left - right


def all_finite(tensors):
    """Bool scalar: no NaN or infinity in any of the tensors."""
    return ops.all(
        ops.stack([ops.all(ops.isfinite(tensor)) for tensor in tensors])
    )
