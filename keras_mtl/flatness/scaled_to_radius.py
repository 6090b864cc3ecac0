"""The worst case of a linear function on a ball."""

from collections.abc import Sequence

from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.jacobian import wide_dtype
from keras_mtl.typing import Tensor

#: Guards the division by a gradient's norm, as in the published code.
NORM_EPSILON = 1e-12


def scaled_to_radius(
    values: Sequence[Tensor],
    gradients: Sequence[Tensor],
    radius: Tensor,
    adaptive: bool,
) -> list[Tensor]:
    """Returns gradients, scaled together to a length.

    Args:
        values: Values of the variables.
        gradients: Gradients by them.
        radius: Scalar: the length.
        adaptive: Whether lengths are relative to the values:
            `radius w^2 g / || |w| g ||` (ASAM).
    """
    dtype = wide_dtype(gradients[0].dtype)
    measured = gradients
    if adaptive:
        measured = [
            ops.abs(value) * gradient
            for value, gradient in zip(values, gradients, strict=True)
        ]
    squared = backend.squared_norm(
        [ops.cast(gradient, dtype) for gradient in measured]
    )
    factor = ops.cast(radius, dtype) / (ops.sqrt(squared) + NORM_EPSILON)
    if adaptive:
        gradients = [
            ops.abs(value) * gradient
            for value, gradient in zip(values, measured, strict=True)
        ]
    return [
        ops.cast(factor, gradient.dtype) * gradient for gradient in gradients
    ]
