"""Gradients of the losses of a pass, by the variables of a model."""

from typing import Any

from keras import ops

from keras_mtl import backend
from keras_mtl.training.point import Point
from keras_mtl.training.replicas import Shares
from keras_mtl.typing import Tensor


class Differentiated:
    """What all passes have: losses that can be differentiated.

    Args:
        point: Where the pass is made.
        shares: What its losses contribute to those of all replicas; `None`
            where there is one, or where that is found out later.
    """

    def __init__(self, point: Point, shares: Shares | None = None):
        self.point = point
        self.shares = shares
        self.partition = point.values.partition
        #: A `Pullback`, until `release`.
        self._pullback: Any = None

    def pull(
        self,
        cotangents: dict[int, Tensor],
        wanted: list[int],
        last: bool = False,
    ) -> list[Tensor]:
        """Returns gradients by variables, without the loss scale.

        Args:
            cotangents: By index of the loss, its factor.
            wanted: Indices of the variables.
            last: Whether nothing more will be asked for.
        """
        if not wanted:
            return []
        return self.collected(
            self._pullback(self.seeds(cotangents), wanted, last)
        )

    def seeds(self, cotangents: dict[int, Tensor]) -> dict[int, Tensor]:
        """What is pulled back for cotangents of the losses, by their index."""
        if self.shares is not None:
            cotangents = {
                k: cotangent * ops.cast(self.shares.of(k), cotangent.dtype)
                for k, cotangent in cotangents.items()
            }
        return self.scaled(cotangents)

    def collected(self, gradients: list[Tensor]) -> list[Tensor]:
        """Gradients of the whole batch, from what was pulled back here."""
        return backend.sum_over_replicas(self.unscaled(gradients))

    def scaled(self, cotangents: dict[int, Tensor]) -> dict[int, Tensor]:
        """Cotangents times the optimizer's loss scale."""
        scale = self.point.scale
        if scale is None:
            return cotangents
        return {
            k: cotangent * ops.cast(scale, cotangent.dtype)
            for k, cotangent in cotangents.items()
        }

    def unscaled(self, gradients: list[Tensor]) -> list[Tensor]:
        """Gradients without the loss scale."""
        scale = self.point.scale
        if scale is None:
            return gradients
        return [
            gradient / ops.cast(scale, gradient.dtype) for gradient in gradients
        ]

    def rows_of(
        self, task: int, loss: int, weight: Tensor, last: bool = False
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Gradients of one task by the shared and by its own variables.

        Args:
            task: Index of the task.
            loss: Index of its loss in the pass.
            weight: Its factor.
            last: As for `pull`.
        """
        partition = self.partition
        reached = partition.shared_by(task)
        wanted = [*reached, *partition.own[task]]
        pulled = self.pull({loss: weight}, wanted, last)
        gradients = dict(zip(wanted, pulled, strict=True))
        row = [
            gradients[i]
            if i in gradients
            else ops.zeros_like(self.point.values.trainable[i])
            for i in partition.shared
        ]
        return row, [gradients[i] for i in partition.own[task]]

    def release(self) -> None:
        """Tells that no more gradients of this pass are needed."""
        self._pullback = None
