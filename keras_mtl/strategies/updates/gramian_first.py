"""Updates by the Gramian, then one backward pass on a weighted sum."""

from keras import ops

from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import Start
from keras_mtl.gradients.passes import Update
from keras_mtl.strategies.updates.gramian_sources import GramianSource
from keras_mtl.strategies.updates.merge import Merge
from keras_mtl.strategies.updates.row_weights import EveryStep
from keras_mtl.typing import Tensor


class GramianFirst(UpdateKind):
    """The Gramian tells the weights of the rows; no rows are kept.

    One backward pass takes the gradient of the losses times both weights.

    Args:
        merge: Has an aggregator that looks at the Gramian only.
        source: What the Gramian is taken of.
        weigh: Computes the weights of rows from it.
    """

    def __init__(self, merge: Merge, source: GramianSource, weigh: EveryStep):
        self.merge = merge
        self.source = source
        self.weigh = weigh
        self.in_halves = source.in_halves
        self.branches = weigh.branches

    def start(self, start: Start) -> ForwardPass:
        return self.source.start(start)

    def __call__(self, clean: ForwardPass, weights: Tensor) -> Update:
        sharing, recorder = self.merge.sharing, self.merge.recorder
        if not sharing.patterns:
            # Nothing is shared.
            return clean.total(weights, weights, last=True)
        switches = sharing.switches(clean.mask)
        weighed = self.weigh(
            lambda: self.source(clean, weights, switches),
            clean.losses,
            lambda dtype: sharing.participants(clean.mask, dtype),
        )
        recorder.gramian("loss", weighed.gramian, taken=weighed.taken)
        recorder.row_weights(weighed.rows)
        by_variable = self.merge.weights_by_variable(
            weights, lambda _: weighed.rows, clean.mask
        )
        update = clean.total(by_variable, weights, last=True)
        norms_finite = ops.isfinite(ops.diagonal(weighed.gramian))
        update.finite = ops.logical_and(update.finite, norms_finite)
        return update
