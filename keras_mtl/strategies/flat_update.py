"""The update of a step that looks at the losses around the weights too."""

from typing import Any

from keras import ops

from keras_mtl.aggregators.jacobian import Jacobian
from keras_mtl.strategies.nearby import Nearby
from keras_mtl.strategies.one_pass_update import OnePassUpdate
from keras_mtl.strategies.passes import ForwardPass
from keras_mtl.strategies.passes import TaskGradients
from keras_mtl.strategies.passes import Update
from keras_mtl.strategies.passes import finite_tasks


class FlatUpdate:
    """One step of a strategy whose flatness regularizer makes more passes.

    It holds what belongs to the step; all state is the strategy's.

    Args:
        strategy: A `keras_mtl.Strategy` with a flatness regularizer.
        clean: The pass at the current weights.
        weights: Tensor `[K]` of task weights.
    """

    def __init__(self, strategy: Any, clean: ForwardPass, weights: Any):
        self.strategy = strategy
        self.flatness = strategy.flatness
        self.merger = strategy.merger
        self.sharing = strategy.sharing
        self.watcher = strategy.watcher
        self.clean = clean
        self.weights = weights
        self.iterations = ops.convert_to_tensor(strategy.iterations)
        #: Bool scalar: this step perturbs. `None` if each does.
        self.due: Any = None
        if self.flatness.interval > 1:
            self.due = ops.equal(self.iterations % self.flatness.interval, 0)
        self.near = Nearby(
            self.flatness, strategy.balancer, clean, weights, self.iterations
        )

    def compute(self) -> Update:
        """Returns the update."""
        if self.flatness.scope == "probe":
            return self._from_probes()
        if self.flatness.scope == "global" and not self._needs_clean_rows():
            return self._at_one_point()
        return self._from_parts()

    def _needs_clean_rows(self):
        return self.due is not None or (
            self.flatness.combine != "direct" and not self.merger.linear
        )

    def _at_one_point(self):
        """The same point for all tasks, and its gradients alone."""
        total = self._clean_total()
        point = self.near.of_all_tasks(total.shared, total.own)
        # Regularizers are not perturbed: the step adds their clean gradient.
        update = OnePassUpdate(
            self.strategy,
            point,
            self.near.weights_at(point.losses),
            penalties=False,
        ).compute()
        return Update(
            update.shared,
            update.own,
            ops.logical_and(total.finite, update.finite),
        )

    def _from_probes(self):
        """Directions from losses at random points (SAMO)."""
        total = self._clean_total()
        direction = self.flatness.directions(self.clean, total.shared)
        sharp, losses = self.near.along(direction, total.own)
        shared = self.sharing.merge(
            self.merger, sharp.shared, self.clean.losses, self.clean.mask
        )
        finite = ops.logical_and(
            total.finite, finite_tasks(losses, sharp.shared)
        )
        return Update(shared, sharp.own, finite)

    def _clean_total(self):
        return self.clean.total(
            self.weights, self.weights, penalties=False, last=True
        )

    def _from_parts(self):
        """Clean gradients, and what perturbed ones add to them."""
        gradients = self.clean.task_gradients(self.weights, last=True)
        self.watcher.note_rows("loss", gradients.shared)
        sharp, sharp_losses = self._sharpened(gradients)
        finite = ops.logical_and(
            finite_tasks(self.clean.losses, gradients.shared),
            finite_tasks(sharp_losses, sharp.shared),
        )
        own = sharp.own
        if self.flatness.reuse:
            own = self._reuse_own(gradients.own, sharp.own)
        shared = self._merge(gradients.shared, sharp.shared)
        return Update(shared, own, finite)

    def _sharpened(self, gradients):
        """Task gradients at the perturbed points, on the steps that have it."""
        take = self.near.task_gradients
        if self.flatness.scope == "global":
            take = self.near.global_gradients
        if self.due is None:
            return take(gradients)
        num_tasks = len(gradients.own)
        num_shared = gradients.shared.num_variables
        # Cut before the branches: a row that one of them cuts is kept, and is
        # out of reach for the other.
        unperturbed = _flatten(gradients)

        def perturbed():
            sharp, losses = take(gradients)
            return [losses, *_flatten(sharp)]

        def plain():
            # A new tensor: branches must not return their own inputs.
            return [self.clean.losses * 1, *unperturbed]

        losses, *flat = ops.cond(self.due, perturbed, plain)
        rows, own = [], []
        for k in range(num_tasks):
            rows.append(flat[:num_shared])
            own.append(flat[num_shared : num_shared + len(gradients.own[k])])
            flat = flat[num_shared + len(gradients.own[k]) :]
        return (
            TaskGradients(
                Jacobian(rows=rows, dtype=gradients.shared.dtype), own
            ),
            losses,
        )

    def _reuse_own(self, clean, sharp):
        """The own gradients, with the last flat part where there is none."""
        result = []
        flat_parts = iter(self.strategy.own_flat_parts)
        for clean_task, sharp_task in zip(clean, sharp, strict=True):
            for_task = []
            for gradient, sharp_gradient in zip(
                clean_task, sharp_task, strict=True
            ):
                flat = self._renewed(
                    next(flat_parts), sharp_gradient - gradient
                )
                for_task.append(gradient + flat)
            result.append(for_task)
        return result

    def _merge(self, clean, sharp):
        """Merges clean and perturbed rows as `flatness.combine` says."""
        combine, reuse = self.flatness.combine, self.flatness.reuse
        losses, mask = self.clean.losses, self.clean.mask
        flat_mask = self._flat_mask()
        if combine == "direct" or (self.merger.linear and not reuse):
            if self.watcher.enabled:
                self.watcher.note_flat_rows(clean, sharp - clean, flat_mask)
            shared = self.sharing.merge(self.merger, sharp, losses, mask)
            self.watcher.note_row_weights(sharp.row_weights)
            return shared
        flat = sharp.minus(clean)
        self.watcher.note_flat_rows(clean, flat, flat_mask)
        if combine == "each":
            return self._merge_each(clean, flat, flat_mask)
        loss_part = self.sharing.merge(self.merger, clean, losses, mask)
        self.watcher.note_row_weights(clean.row_weights)
        merger = self.strategy.flat_aggregator or self.merger
        flat_part = self.sharing.merge(merger, flat, losses, flat_mask)
        if reuse:
            flat_part = [
                self._renewed(variable, part)
                for variable, part in zip(
                    self.strategy.flat_parts, flat_part, strict=True
                )
            ]
        if combine == "decomposed":
            return [a + b for a, b in zip(loss_part, flat_part, strict=True)]
        is_there = ops.cast(ops.any(flat_mask > 0), flat_mask.dtype)
        return self.strategy.outer_aggregator.aggregate(
            Jacobian(rows=[loss_part, flat_part], dtype=clean.dtype),
            None,
            ops.stack([ops.ones_like(is_there), is_there]),
        )

    def _flat_mask(self):
        """Which tasks have a flat part, `[K]`."""
        # With a radius of 0 the flat part is rounding noise, which
        # normalising aggregators would blow up: all tasks are absent from it.
        active = self.flatness.is_active(self.iterations)
        if self.due is not None:
            active = ops.logical_and(active, self.due)
        present = self.clean.mask
        if present is None:
            present = ops.ones_like(self.clean.losses)
        return present * ops.cast(active, present.dtype)

    def _merge_each(self, clean, flat, flat_mask):
        """Merges both parts of each task, then the tasks."""
        rows = []
        for k, aggregator in enumerate(self.strategy.pair_aggregators):
            pair = Jacobian(
                rows=[clean.rows[k], flat.rows[k]], dtype=clean.dtype
            )
            pair_mask = ops.stack([ops.ones_like(flat_mask[k]), flat_mask[k]])
            rows.append(aggregator.aggregate(pair, None, pair_mask))
        return self.sharing.merge(
            self.merger,
            Jacobian(rows=rows, dtype=clean.dtype),
            self.clean.losses,
            self.clean.mask,
        )

    def _renewed(self, variable, value):
        """The value if it is due, else the last one; kept in the variable."""
        value = ops.where(
            self.due, ops.cast(value, variable.dtype), variable.value
        )
        variable.assign(value)
        return value


def _flatten(gradients: TaskGradients) -> list[Any]:
    return [
        gradient
        for row, own in zip(gradients.shared.rows, gradients.own, strict=True)
        for gradient in (*row, *own)
    ]
