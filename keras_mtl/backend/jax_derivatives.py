"""JAX: derivatives by samples, forward but for whole gradients."""

from collections.abc import Callable
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from keras_mtl.backend.jax import reached_variables
from keras_mtl.typing import Tensor

__all__ = ["sample_derivatives", "sample_gradient"]


def sample_derivatives(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    order: int,
    columns: Sequence[int],
) -> list[Tensor] | None:
    x = jnp.asarray(x)
    if not _depends(function, x):
        return None
    output = jax.eval_shape(function, x)
    is_one_valued = all(size == 1 for size in output.shape[1:])
    if order == 1 and len(columns) > 1 and is_one_valued:
        # One pass back gives them all.
        gradient = jax.grad(lambda at: jnp.sum(function(at)))(x)
        return [
            jnp.reshape(gradient[:, column], output.shape) for column in columns
        ]

    def along(column: int) -> Callable[[Tensor], Tensor]:
        direction = jnp.zeros_like(x).at[:, column].set(1)

        def once(function: Callable[[Tensor], Tensor]) -> Callable:
            return lambda at: jax.jvp(function, (at,), (direction,))[1]

        along_it = function
        for _ in range(order):
            along_it = once(along_it)
        return along_it

    return [along(column)(x) for column in columns]


def sample_gradient(
    function: Callable[[Tensor], Tensor], x: Tensor
) -> Tensor | None:
    x = jnp.asarray(x)
    if not _depends(function, x):
        return None
    return jax.grad(lambda at: jnp.sum(function(at)))(x)


def _depends(function: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    (reached,) = reached_variables(lambda values: [function(*values)], [x])
    return bool(reached)
