"""The update from the gradients of one pass."""

import math
from typing import Any

from keras import ops

from keras_mtl.aggregators import Sum
from keras_mtl.strategies.accumulation import Accumulated
from keras_mtl.strategies.passes import ForwardPass
from keras_mtl.strategies.passes import Update
from keras_mtl.strategies.passes import finite_tasks
from keras_mtl.strategies.sharing import Sharing


class OnePassUpdate:
    """What a strategy makes of the gradients at one point.

    It holds what belongs to the step; all state is the strategy's.

    Args:
        strategy: A `keras_mtl.Strategy`.
        clean: The pass.
        weights: Tensor `[K]` of task weights.
        accumulated: Gradients of several batches to be used instead of those
            of the pass. Defaults to `None`.
        penalties: Whether the gradient of regularizers and `add_loss` terms
            may be included. Defaults to `True`.
    """

    def __init__(
        self,
        strategy: Any,
        clean: ForwardPass,
        weights: Any,
        accumulated: Accumulated | None = None,
        penalties: bool = True,
    ):
        self.strategy = strategy
        self.aggregator = strategy.aggregator
        self.merger = strategy.merger
        self.sharing = strategy.sharing
        self.watcher = strategy.watcher
        self.clean = clean
        self.weights = weights
        self.accumulated = accumulated
        self.penalties = penalties

    def compute(self) -> Update:
        """Returns the update."""
        if self.accumulated is not None:
            return self._from_means(self.accumulated)
        if self.aggregator.samples > 1 and self.strategy.makes_one_pass:
            return self._from_samples()
        if isinstance(self.aggregator, Sum):
            # The same object: one backward pass serves own variables too.
            return self._from_total(self.weights)
        if self.aggregator.linear:
            return self._from_total(self._linear_weights())
        if self.strategy.has_shared and self.strategy.memory == "low":
            return self._from_gramian()
        if self.strategy.has_shared and self.strategy.uses_representation:
            return self._from_representation()
        gradients = self.clean.task_gradients(
            self.weights, last=True, stacked=self.aggregator.keeps_rows
        )
        shared = self._merge(gradients.shared, self.clean)
        return self._update(shared, gradients)

    def _from_total(self, shared_weights):
        """A backward pass on the weighted sum of the losses."""
        return self.clean.total(
            shared_weights, self.weights, self.penalties, last=True
        )

    def _linear_weights(self):
        """Task weights times row weights of a linear aggregator."""

        def weigh(present):
            return self.aggregator.compute_row_weights(
                int(self.weights.shape[0]), present, self.weights.dtype
            )

        return self._weighted(weigh)

    def _weighted(self, weigh):
        """Task weights times row weights, by the variables that have them."""
        weights = self.weights
        return [
            (ops.cast(rows, weights.dtype) * weights, places)
            for rows, places in self.sharing.weights_by_variable(
                weigh, self.clean.mask, weights.dtype
            )
        ]

    def _from_gramian(self):
        """From inner products alone, then a weighted sum of the losses."""
        clean = self.clean
        gramian = clean.task_gramian(
            self.weights, self.sharing.switches(clean.mask)
        )
        self.watcher.note_gramian("loss", gramian)
        rows = self.aggregator.compute_weights(
            gramian,
            clean.losses,
            self.sharing.participants(clean.mask, gramian.dtype),
        )
        self.watcher.note_row_weights(rows)
        update = self._from_total(self._weighted(lambda present: rows))
        norms_finite = ops.isfinite(ops.diagonal(gramian))
        update.finite = ops.logical_and(update.finite, norms_finite)
        return update

    def _from_representation(self):
        """From gradients by the trunk's output, taken through it at last."""
        gradients = self.clean.representation_gradients(self.weights)
        rows = gradients.shared
        sharing = Sharing.of_all(rows.num_tasks, rows.num_variables)
        clean, switches = self.clean, self.sharing.switches(self.clean.mask)
        alone = None
        if switches is not None and not self.sharing.is_full:
            # Of variables that one present task reaches, by whatever feature.
            alone = clean.through_trunk(rows.combine(clean.mask))
        shared = clean.through_trunk(self._merge(rows, clean, sharing))
        if alone is not None:
            shared = [
                ops.where(switch, together, by_one)
                for switch, together, by_one in zip(
                    switches, shared, alone, strict=True
                )
            ]
        return self._update(shared, gradients)

    def _from_samples(self):
        """Of a method that wants gradients of independent samples."""
        clean, count = self.clean, self.aggregator.samples
        own = clean.own_gradients(self.weights)
        masks, jacobians = [clean.mask], []
        for index in range(count):
            part = clean.part(index, count)
            gradients = part.task_gradients(self.weights, last=True)
            jacobians.append(gradients.shared)
            masks.append(part.mask)
        known = [mask for mask in masks if mask is not None]
        mask = math.prod(known[1:], start=known[0]) if known else None
        shared = self.sharing.merge_samples(
            self.merger, jacobians, clean.losses, mask
        )
        return Update(shared, own, finite_tasks(clean.losses, jacobians[0]))

    def _from_means(self, means):
        """Of the mean gradients of several batches."""
        rows = means.gradients.shared.scaled(self.weights)
        own = [
            [gradient * self.weights[task] for gradient in of_task]
            for task, of_task in enumerate(means.gradients.own)
        ]
        shared = self._merge(rows, means)
        finite = finite_tasks(means.losses, rows)
        return Update(shared, own, finite, accumulated=means)

    def _merge(self, rows, source, sharing=None):
        """Merges rows, and lets those who watch see it.

        Args:
            rows: A `Jacobian`.
            source: Has the `losses` and the `mask` that go with them.
            sharing: The `Sharing` of what the rows are gradients by. Defaults
                to `None`: that of the shared variables.
        """
        self.watcher.note_rows("loss", rows)
        merged = (sharing or self.sharing).merge(
            self.merger, rows, source.losses, source.mask
        )
        self.watcher.note_row_weights(rows.row_weights)
        return merged

    def _update(self, shared, gradients):
        finite = finite_tasks(self.clean.losses, gradients.shared)
        return Update(shared, gradients.own, finite)
