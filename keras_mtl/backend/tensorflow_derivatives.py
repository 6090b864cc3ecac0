"""TensorFlow: derivatives by samples, by nested tapes."""

from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

from keras_mtl.typing import Tensor

__all__ = ["sample_derivatives", "sample_gradient"]


def sample_derivatives(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    order: int,
    columns: Sequence[int],
) -> list[Tensor] | None:
    # The function's argument alone, not what it may read of the same tensor.
    at = tf.identity(x)
    with _tape() as tape:
        tape.watch(at)
        if order == 1:
            outputs: list[Tensor] | None = [function(at)]
        else:
            outputs = sample_derivatives(function, at, order - 1, columns)
    if outputs is None:
        return None
    if order == 1:
        return _slopes(tape, outputs[0], at, columns)
    found = [
        _slopes(tape, output, at, [column])
        for output, column in zip(outputs, columns, strict=True)
    ]
    return [
        # What is constant by now has none.
        tf.zeros_like(output) if slopes is None else slopes[0]
        for output, slopes in zip(outputs, found, strict=True)
    ]


def sample_gradient(
    function: Callable[[Tensor], Tensor], x: Tensor
) -> Tensor | None:
    at = tf.identity(x)
    with _tape() as tape:
        tape.watch(at)
        output = function(at)
    return _densified(tape.gradient(output, at))


def _slopes(
    tape: tf.GradientTape, output: Tensor, at: Tensor, columns: Sequence[int]
) -> list[Tensor] | None:
    """Derivatives of a tensor `[n, ...]` by some columns, if there are any."""
    if all(size == 1 for size in output.shape[1:]):
        gradient = _densified(tape.gradient(output, at))
        if gradient is None:
            return None
        shape = tf.shape(output)
        return [tf.reshape(gradient[:, column], shape) for column in columns]
    # Gradients are linear in their seeds, by which they are differentiated:
    # one more pass for each column.
    seeds = tf.ones_like(output)
    with _tape() as by_seeds:
        by_seeds.watch(seeds)
        gradient = _densified(tape.gradient(output, at, output_gradients=seeds))
        if gradient is None:
            return None
        slopes = [gradient[:, column] for column in columns]
    return [
        _densified(
            by_seeds.gradient(
                slope, seeds, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
        )
        for slope in slopes
    ]


def _tape() -> tf.GradientTape:
    return tf.GradientTape(persistent=True, watch_accessed_variables=False)


def _densified(gradient: Tensor | None) -> Tensor | None:
    # Embeddings give IndexedSlices.
    return None if gradient is None else tf.convert_to_tensor(gradient)
