"""Updates by task gradients of independent samples."""

import math

from keras_mtl.gradients.kind import UpdateKind
from keras_mtl.gradients.passes import ForwardPass
from keras_mtl.gradients.passes import Update
from keras_mtl.gradients.passes import finite_tasks
from keras_mtl.strategies.updates.merge import Merge
from keras_mtl.typing import Tensor


class IndependentSamples(UpdateKind):
    """For aggregators that compare gradients of several parts of a batch.

    Args:
        merge: Has an aggregator with `samples` > 1.
    """

    def __init__(self, merge: Merge):
        self.merge = merge

    def __call__(self, clean: ForwardPass, weights: Tensor) -> Update:
        aggregator = self.merge.aggregator
        own = clean.own_gradients(weights)
        masks, jacobians = [clean.mask], []
        for index in range(aggregator.samples):
            part = clean.part(index, aggregator.samples)
            gradients = part.task_gradients(weights, last=True)
            jacobians.append(gradients.shared)
            masks.append(part.mask)
        known = [mask for mask in masks if mask is not None]
        present = math.prod(known[1:], start=known[0]) if known else None
        shared = self.merge.sharing.merge_samples(
            aggregator, jacobians, clean.losses, present
        )
        return Update(shared, own, finite_tasks(clean.losses, jacobians[0]))
