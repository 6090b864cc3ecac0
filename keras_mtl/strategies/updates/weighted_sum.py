"""Updates by one backward pass on a weighted sum of the losses."""

from typing import Any

from keras_mtl.aggregators import Sum
from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import Update
from keras_mtl.strategies.updates.merge import Merge
from keras_mtl.typing import Tensor


class WeightedSum(UpdateKind):
    """For aggregators whose weights do not depend on the gradients.

    The gradient of `sum_k row_weight_k weight_k loss_k` by the shared
    variables, and of `weight_k loss_k` by those of each task.

    Args:
        merge: Has the aggregator.
    """

    def __init__(self, merge: Merge):
        self.merge = merge

    def __call__(self, clean: ForwardPass, weights: Tensor) -> Update:
        aggregator: Any = self.merge.aggregator
        if isinstance(aggregator, Sum):
            # The same object: one backward pass serves own variables too.
            return clean.total(weights, weights, last=True)

        def weigh(present: Tensor) -> Tensor:
            return aggregator.compute_row_weights(
                int(weights.shape[0]), present, weights.dtype
            )

        by_variable = self.merge.weights_by_variable(weights, weigh, clean.mask)
        return clean.total(by_variable, weights, last=True)

    def plain(self, clean: ForwardPass, ones: Tensor) -> Update | None:
        return clean.total(ones, ones, penalties=False)
