"""How gradients at and near the weights are merged: `combine` of flatness."""

from collections.abc import Callable
from collections.abc import Sequence

import keras
from keras import ops

from keras_mtl.aggregators import Aggregator
from keras_mtl.flatness.parts import Join
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.gradients.passes import Source
from keras_mtl.strategies.updates.merge import Merge
from keras_mtl.typing import Tensor


class Direct(Join):
    """Merges the gradients near the weights, and no others.

    Args:
        merge: Has the aggregator.
    """

    takes_sharp_alone = True

    def __init__(self, merge: Merge):
        self.merge = merge

    def __call__(
        self,
        clean: Jacobian,
        sharp: Jacobian,
        source: Source,
        flat_mask: Tensor,
    ) -> list[Tensor]:
        recorder = self.merge.recorder
        if recorder.enabled:
            recorder.flat_rows(clean, sharp - clean, flat_mask)
        shared = self.merge.without_record(sharp, source.losses, source.mask)
        recorder.row_weights(sharp.row_weights)
        return shared


class Decomposed(Join):
    """Merges the clean gradients and what is added to them, then adds up.

    Args:
        merge: Has the aggregator of the clean gradients.
        flat: That of the rest, with state of its own.
    """

    def __init__(self, merge: Merge, flat: Merge):
        self.merge = merge
        self.flat = flat

    def __call__(
        self,
        clean: Jacobian,
        sharp: Jacobian,
        source: Source,
        flat_mask: Tensor,
    ) -> list[Tensor]:
        recorder, losses = self.merge.recorder, source.losses
        difference = sharp.minus(clean)
        recorder.flat_rows(clean, difference, flat_mask)
        loss_part = self.merge.without_record(clean, losses, source.mask)
        recorder.row_weights(clean.row_weights)
        flat_part = self.flat.without_record(difference, losses, flat_mask)
        return self.joined(loss_part, flat_part, flat_mask)

    def joined(
        self,
        loss_part: list[Tensor],
        flat_part: list[Tensor],
        flat_mask: Tensor,
    ) -> list[Tensor]:
        """Returns the update.

        Args:
            loss_part: One tensor per shared variable.
            flat_part: One tensor per shared variable.
            flat_mask: Tensor `[K]`, 1 for tasks that were perturbed.
        """
        return [a + b for a, b in zip(loss_part, flat_part, strict=True)]


class Reused(Decomposed):
    """Takes the last flat part again, on steps that look nowhere else.

    Args:
        merge: As for `Decomposed`.
        flat: As for `Decomposed`.
        kept: Variables that hold the last flat part of the shared variables.
        kept_own: Those of the tasks' own variables.
        is_due: Returns a bool scalar: there is a new one.
    """

    def __init__(
        self,
        merge: Merge,
        flat: Merge,
        kept: Sequence[keras.Variable],
        kept_own: Sequence[keras.Variable],
        is_due: Callable[[], Tensor],
    ):
        super().__init__(merge, flat)
        self.kept = kept
        self.kept_own = kept_own
        self.is_due = is_due

    def own(
        self, clean: list[list[Tensor]], sharp: list[list[Tensor]]
    ) -> list[list[Tensor]]:
        kept = iter(self.kept_own)
        return [
            [
                gradient + self._renewed(next(kept), sharp_gradient - gradient)
                for gradient, sharp_gradient in zip(
                    clean_task, sharp_task, strict=True
                )
            ]
            for clean_task, sharp_task in zip(clean, sharp, strict=True)
        ]

    def joined(
        self,
        loss_part: list[Tensor],
        flat_part: list[Tensor],
        flat_mask: Tensor,
    ) -> list[Tensor]:
        renewed = [
            self._renewed(variable, part)
            for variable, part in zip(self.kept, flat_part, strict=True)
        ]
        return super().joined(loss_part, renewed, flat_mask)

    def _renewed(self, variable: keras.Variable, value: Tensor) -> Tensor:
        """The value if it is due, else the last one; kept in the variable."""
        value = ops.where(
            self.is_due(), ops.cast(value, variable.dtype), variable.value
        )
        variable.assign(value)
        return value


class Second(Decomposed):
    """Merges the two parts of `Decomposed` once more.

    Args:
        merge: As for `Decomposed`.
        flat: As for `Decomposed`.
        outer: The aggregator of the two parts.
    """

    def __init__(self, merge: Merge, flat: Merge, outer: Aggregator):
        super().__init__(merge, flat)
        self.outer = outer

    def joined(
        self,
        loss_part: list[Tensor],
        flat_part: list[Tensor],
        flat_mask: Tensor,
    ) -> list[Tensor]:
        is_there = ops.cast(ops.any(flat_mask > 0), flat_mask.dtype)
        dtype = flat_mask.dtype
        return self.outer.aggregate(
            Jacobian(rows=[loss_part, flat_part], dtype=dtype),
            None,
            ops.stack([ops.ones_like(is_there), is_there]),
        )


class Each(Join):
    """Merges both parts of each task, then the tasks.

    Args:
        merge: Has the aggregator of the tasks.
        pairs: For each task, the aggregator of its two parts.
    """

    def __init__(self, merge: Merge, pairs: Sequence[Aggregator]):
        self.merge = merge
        self.pairs = pairs

    def __call__(
        self,
        clean: Jacobian,
        sharp: Jacobian,
        source: Source,
        flat_mask: Tensor,
    ) -> list[Tensor]:
        flat = sharp.minus(clean)
        self.merge.recorder.flat_rows(clean, flat, flat_mask)
        rows = []
        for k, aggregator in enumerate(self.pairs):
            pair = Jacobian(
                rows=[clean.rows[k], flat.rows[k]], dtype=clean.dtype
            )
            pair_mask = ops.stack([ops.ones_like(flat_mask[k]), flat_mask[k]])
            rows.append(aggregator.aggregate(pair, None, pair_mask))
        joined = Jacobian(rows=rows, dtype=clean.dtype)
        return self.merge.without_record(joined, source.losses, source.mask)
