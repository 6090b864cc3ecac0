"""Means over replicas that have parts of a batch each."""

import copy

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.typing import Tensor


class Shares:
    """What each task's loss here contributes to that of the whole batch.

    Replicas have batches of one size. A task's loss is the mean over those
    replicas where it has labels, and so are its gradients.

    Args:
        losses: Tensor `[K]` of this replica's task losses.
        presence: Tensor `[K]`, 1 for tasks with labels here, or `None` if all
            have.
        total: This replica's weighted sum of all losses.
    """

    def __init__(self, losses: Tensor, presence: Tensor, total: Tensor):
        num_tasks = losses.shape[0]
        if presence is None:
            presence = ops.ones_like(losses)
        # At once, and whatever is absent here: all replicas must take part.
        parts = ops.concatenate(
            [losses, ops.cast(presence, losses.dtype), ops.reshape(total, (1,))]
        )
        (sums,) = backend.sum_over_replicas([parts])
        counts = sums[num_tasks : 2 * num_tasks]
        #: Tensor `[K]`: what a replica's losses are multiplied with.
        self.of_tasks = 1 / ops.maximum(counts, 1)
        self.losses = sums[:num_tasks] * self.of_tasks
        self.mask = ops.cast(counts > 0, losses.dtype)
        self.is_finite = ops.isfinite(sums[-1])

    def only(self, task: int) -> "Shares":
        """The shares of one task, for a pass of it alone."""
        shares = copy.copy(self)
        shares.of_tasks = self.of_tasks[task : task + 1]
        return shares

    def of(self, index: int) -> Tensor:
        """The share of a loss of a pass: of a task, or of the penalties.

        Args:
            index: Index of the loss.
        """
        if index < self.of_tasks.shape[0]:
            return self.of_tasks[index]
        return 1 / backend.num_replicas()

    def mean(self, losses: Tensor) -> Tensor:
        """Means of losses, or of slopes of losses, of this replica.

        Args:
            losses: One per task.
        """
        return backend.sum_over_replicas([losses * self.of_tasks])[0]


def mean_state(assignments: list[tuple]) -> list[tuple]:
    """Means of what layers keep besides weights, such as moving averages.

    Integers, such as the states of seed generators, are the same everywhere.

    Args:
        assignments: Pairs of a variable and its new value on this replica.
    """
    count = backend.num_replicas()
    if count == 1:
        return assignments
    places = [
        i
        for i, (_, value) in enumerate(assignments)
        if "float" in keras.backend.standardize_dtype(value.dtype)
    ]
    sums = backend.sum_over_replicas([assignments[i][1] for i in places])
    assignments = list(assignments)
    for i, total in zip(places, sums, strict=True):
        assignments[i] = (assignments[i][0], total / count)
    return assignments
