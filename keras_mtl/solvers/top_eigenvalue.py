"""The largest eigenvalue of a symmetric operator, by power iteration."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

from keras import ops

from keras_mtl import backend
from keras_mtl.typing import Tensor

#: Squared lengths up to this count as zero.
SMALLEST_SQUARE = 1e-37


def top_eigenvalue(
    product: Callable[[list[Tensor]], list[Tensor]],
    start: Sequence[Tensor],
    iterations: int,
    tolerance: float,
) -> tuple[Tensor, Tensor]:
    """Returns the largest eigenvalue, with sign, and a bound of its error.

    Power iteration finds the eigenvalue of the largest size. If that is
    negative, or another of nearly the same size with the other sign keeps it
    from converging, a second run on `A + r I`, `r` the size, finds the
    largest one. A run stops when the relative residual is at most
    `tolerance`, the first one after `iterations` products at the latest, and
    both together after twice as many.

    Args:
        product: From a vector, a list of tensors, to `A` times the vector.
        start: The vector to begin with; nonzero.
        iterations: The largest number of products in the first run, and half
            of that in all.
        tolerance: The relative residual to stop at.

    Returns:
        `(eigenvalue, residual)` with `residual = ||A v - eigenvalue v|| /
        |eigenvalue|` of the last vector `v`: an eigenvalue of `A` is at most
        that share away. 0 for the zero operator.
    """
    dtype = start[0].dtype

    def is_unfinished(
        step: Tensor, _: Tensor, residual: Tensor, *__: Tensor
    ) -> Tensor:
        return ops.logical_and(step < 2 * iterations, residual > tolerance)

    def advance(step: Tensor, *found: Tensor) -> tuple[Tensor, ...]:
        shift, vector = found[2], _unit(found[3:])
        image = product(vector)
        eigenvalue = _inner(vector, image)
        rest = [a - eigenvalue * v for a, v in _pairs(image, vector)]
        residual = _share(_norm(rest), ops.abs(eigenvalue))
        # In one loop, so that the product is compiled once.
        has_converged = residual <= tolerance
        is_over = ops.logical_or(has_converged, step + 1 == iterations)
        is_found = ops.logical_and(has_converged, eigenvalue >= 0)
        switches = ops.logical_and(
            ops.logical_and(shift == 0, is_over), ops.logical_not(is_found)
        )
        shift = ops.where(switches, _norm(image), shift)
        moved = [a + shift * v for a, v in _pairs(image, vector)]
        # What led to a negative eigenvalue has nothing left of the others.
        begins = ops.logical_and(switches, eigenvalue <= 0)
        moved = [ops.where(begins, a, b) for a, b in _pairs(start, moved)]
        residual = ops.where(switches, float("inf"), residual)
        return (step + 1, eigenvalue, residual, shift, *moved)

    eigenvalue, shift = (ops.zeros((), dtype) for _ in range(2))
    residual = ops.full((), float("inf"), dtype)
    step = ops.zeros((), "int32")
    _, eigenvalue, residual, *_ = backend.while_loop(
        is_unfinished, advance, (step, eigenvalue, residual, shift, *start)
    )
    return eigenvalue, residual


def _pairs(
    left: Sequence[Tensor], right: Sequence[Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(left, right, strict=True)


def _inner(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    return sum(ops.sum(a * b) for a, b in _pairs(left, right))


def _norm(vector: Sequence[Tensor]) -> Tensor:
    return ops.sqrt(_inner(vector, vector))


def _unit(vector: Sequence[Tensor]) -> list[Tensor]:
    square = _inner(vector, vector)
    factor = ops.rsqrt(ops.maximum(square, SMALLEST_SQUARE))
    return [factor * part for part in vector]


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """`part / whole`, and 0 if both are."""
    is_zero = ops.logical_and(part == 0, whole == 0)
    return part / ops.where(is_zero, ops.ones_like(whole), whole)
