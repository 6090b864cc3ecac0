"""A forward pass that gives inner products of task gradients."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl import backend
from keras_mtl.training.passes import FirstPass
from keras_mtl.typing import Tensor


class GramianPass(FirstPass):
    """A first pass that goes both ways: gradients, and slopes along them."""

    #: A `Pushforward`, until `release`.
    _pushforward: Any

    def _linearize(self, trainable: list[Tensor]) -> tuple[list[Tensor], Any]:
        losses, aux, self._pullback, self._pushforward = (
            backend.linearize_both_ways(self._run, trainable)
        )
        return losses, aux

    def release(self) -> None:
        super().release()
        self._pushforward = None

    def task_gramian(
        self, weights: Tensor, switches: Sequence[Tensor] | None = None
    ) -> Tensor:
        # Row `k` is how fast the losses rise along the gradient of loss `k`.
        partition = self.partition
        num_tasks = len(partition.tasks)
        rows, seed = [], weights[0]
        for k in range(num_tasks):
            reached = partition.shared_by(k)
            gradients = self.pull({k: seed}, reached)
            if switches is not None:
                by_index = dict(zip(partition.shared, switches, strict=True))
                gradients = [
                    ops.where(by_index[i], gradient, ops.zeros_like(gradient))
                    for i, gradient in zip(reached, gradients, strict=True)
                ]
            slopes = self._slopes_along(gradients, reached)
            rows.append(slopes * weights)
            if k + 1 < num_tasks:
                # Not before this gradient has served: one lives at a time.
                seed = backend.after(weights[k + 1], slopes)
        gramian = ops.stack(rows)
        return (gramian + ops.transpose(gramian)) / 2

    def _slopes_along(
        self, direction: list[Tensor], indices: list[int]
    ) -> Tensor:
        """How fast each loss rises along a direction."""
        if not indices:
            return ops.zeros_like(self.losses)
        norm = None
        if self.point.scale is not None:
            # A gradient may be too small for the numbers that are computed
            # with; slopes along its unit vector are not.
            norm = ops.sqrt(backend.squared_norm(direction))
            divisor = ops.where(norm > 0, norm, 1)
            direction = [part / divisor for part in direction]
        slopes = self._pushforward(dict(zip(indices, direction, strict=True)))
        slopes = self.averaged(slopes[: len(self.partition.tasks)])
        return slopes if norm is None else slopes * norm
