"""JAX: arithmetic on task gradients, and on the small tensors of solvers."""

from collections.abc import Iterable
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from keras_mtl.typing import Tensor
from keras_mtl.typing import Tensors

__all__ = [
    "STACKS_LABELS",
    "STACKS_ROWS",
    "gather_rows",
    "inner_products",
    "row_products",
    "small_product",
    "squared_norm",
]

STACKS_ROWS = False
STACKS_LABELS = False

#: Number of terms up to which a product of matrices is written as a sum.
LARGEST_SUM = 2**16

#: Length of the pieces of vectors whose inner products fit into the cache.
BLOCK = 2048


def gather_rows(
    rows: Iterable[Sequence[Tensor]], num_rows: int
) -> tuple[list[Sequence[Tensor]] | None, list[Tensor] | None]:
    return list(rows), None


def inner_products(vectors: Tensors) -> Tensor:
    size = vectors[0].shape[0]
    if size < 4 * BLOCK or jax.default_backend() != "cpu":
        return _gramian(vectors)
    if jax.device_count() > 1:
        # Pieces would be gathered from all devices.
        return _gramian(vectors)
    # The copy that stacks whole vectors would cost more than the product.
    num_blocks = size // BLOCK

    def add_block(index: Tensor, total: Tensor) -> Tensor:
        start = (index * BLOCK,)
        return total + _gramian(
            [jax.lax.dynamic_slice(v, start, (BLOCK,)) for v in vectors]
        )

    rest = _gramian([vector[num_blocks * BLOCK :] for vector in vectors])
    return jax.lax.fori_loop(0, num_blocks, add_block, rest)


def _gramian(vectors: Tensors) -> Tensor:
    matrix = jnp.stack(vectors)
    return matrix @ matrix.T


def small_product(left: Tensor, right: Tensor) -> Tensor:
    # XLA makes a program of its own for each product, and but one for all sums
    # that are alike; with many tasks that is most of compiling a solver.
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


def row_products(left: Tensor, right: Tensor) -> Tensor:
    # Fused: the products are never written down.
    return jnp.sum(left * right, axis=1)


def squared_norm(tensors: Tensors) -> Tensor:
    return sum(jnp.sum(jnp.square(tensor)) for tensor in tensors)
