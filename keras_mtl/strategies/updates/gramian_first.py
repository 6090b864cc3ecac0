"""Updates by inner products of the gradients alone."""

from typing import Any
from typing import cast

from keras import ops

from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import BothWaysPass
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import Start
from keras_mtl.gradients.passes import Update
from keras_mtl.strategies.updates.merge import Merge
from keras_mtl.typing import Tensor


class GramianFirst(UpdateKind):
    """Inner products first, then one weighted backward pass.

    The Gramian is taken row by row, so that two gradients are kept at a time,
    however many tasks there are. The aggregator makes weights of it, and the
    gradient of the sum of losses that has these is the update.

    Args:
        merge: Has an aggregator that looks at the Gramian only.
    """

    def __init__(self, merge: Merge):
        self.merge = merge

    def start(self, start: Start) -> ForwardPass:
        return start.forward(both_ways=True)

    def __call__(self, clean: ForwardPass, weights: Tensor) -> Update:
        sharing, recorder = self.merge.sharing, self.merge.recorder
        aggregator: Any = self.merge.aggregator
        if not sharing.patterns:
            # Nothing is shared.
            return clean.total(weights, weights, last=True)
        gramian = cast(BothWaysPass, clean).task_gramian(
            weights, sharing.switches(clean.mask)
        )
        recorder.gramian("loss", gramian)
        rows = aggregator.compute_weights(
            gramian,
            clean.losses,
            sharing.participants(clean.mask, gramian.dtype),
        )
        recorder.row_weights(rows)
        by_variable = self.merge.weights_by_variable(
            weights, lambda _: rows, clean.mask
        )
        update = clean.total(by_variable, weights, last=True)
        norms_finite = ops.isfinite(ops.diagonal(gramian))
        update.finite = ops.logical_and(update.finite, norms_finite)
        return update
