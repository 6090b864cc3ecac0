"""Updates by one gradient per task."""

from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import Source
from keras_mtl.gradients.passes import Update
from keras_mtl.gradients.passes import finite_tasks
from keras_mtl.strategies.updates.merge import Merge
from keras_mtl.typing import Tensor


class Rows(UpdateKind):
    """K gradients, merged.

    Of each task the gradient of `weight_k loss_k` is taken. The shared
    variables get what the aggregator makes of them, those of a task its own.

    Args:
        merge: Merges them.
    """

    def __init__(self, merge: Merge):
        self.merge = merge

    def __call__(self, clean: Source, weights: Tensor) -> Update:
        gradients = clean.task_gradients(
            weights, last=True, stacked=self.merge.aggregator.keeps_rows
        )
        shared = self.merge(gradients.shared, clean)
        finite = finite_tasks(clean.losses, gradients.shared)
        return Update(shared, gradients.own, finite)
