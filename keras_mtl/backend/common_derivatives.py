"""Derivatives of functions of samples by the samples."""

from collections.abc import Callable
from collections.abc import Sequence

from keras_mtl.typing import Tensor

__all__ = ["sample_derivatives", "sample_gradient"]


def sample_derivatives(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    order: int,
    columns: Sequence[int],
) -> list[Tensor] | None:
    """Returns derivatives of a function of samples by some of their columns.

    They can be differentiated further, by `x` and by all that the function
    reads. Gradients are on, whatever they are outside.

    Args:
        function: Maps `[n, d]` to `[n, ...]`, each sample by itself.
        x: Tensor `[n, d]` of floating point numbers.
        order: How often to differentiate by one column, from 1 on.
        columns: Indices of the columns.

    Returns:
        For each column a tensor of the function's shape; `None` if the
        function does not depend on `x`.
    """
    raise NotImplementedError


def sample_gradient(
    function: Callable[[Tensor], Tensor], x: Tensor
) -> Tensor | None:
    """Returns the gradient of the sum of all that a function returns.

    Like `sample_derivatives`, for `x` of any shape.

    Args:
        function: Maps `x` to a tensor.
        x: Tensor of floating point numbers.

    Returns:
        A tensor of the shape of `x`; `None` if the function does not depend
        on it.
    """
    raise NotImplementedError
