"""The labels of one batch, as losses are called with them."""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from keras import ops

from keras_mtl.models.missing_labels import fill_missing
from keras_mtl.models.missing_labels import is_by_sample
from keras_mtl.models.missing_labels import like_rank
from keras_mtl.models.missing_labels import of_mean_1
from keras_mtl.models.missing_labels import takes_mean
from keras_mtl.models.own_functions import answers
from keras_mtl.models.task_loss import Seen
from keras_mtl.models.task_loss import TaskLoss
from keras_mtl.typing import Tensor


class Labels:
    """Labels and sample weights of a batch, by task.

    What is done about missing labels is done once for all passes of a step:
    it depends on how many dimensions an output has, not on its values. Losses
    of the user's own, which may answer to NaN, are asked in each pass.

    Args:
        by_task: Tensor by task, or a dict of several; none of a task without
            labels.
        sample_weights: Sample weights by task, `None` where there are none.
        uncertain: Tasks of which labels may be missing.
        losses: `TaskLoss` by task.
        one_batch: Whether all tasks have the same number of samples.
    """

    def __init__(
        self,
        by_task: dict[str, Any],
        sample_weights: dict[str, Any],
        uncertain: Iterable[str],
        losses: dict[str, TaskLoss],
        one_batch: bool,
    ):
        self.by_task = by_task
        self.sample_weights = sample_weights
        self._uncertain = set(uncertain)
        self._losses = losses
        self._one_batch = one_batch
        #: By task and whether its last dimension holds parts of one label:
        #: the label without NaN, its own weight, and that of the loss.
        self._filled: dict[tuple[str, bool], tuple[Tensor, Tensor, Tensor]] = {}

    def for_losses(
        self, tasks: Iterable[str], seen: Mapping[str, Seen]
    ) -> dict[str, tuple[Any, Any]]:
        """Returns what losses are called with.

        Args:
            tasks: Names of tasks.
            seen: What tasks see of the batch. Of one without, and of one with
                no single output, the last dimension of the labels is taken
                for parts of one label.

        Returns:
            By task its label, `None` where it has none, and its sample
            weight, which may be `None`.
        """
        kinds = {
            task: is_by_sample(
                self.by_task[task],
                self._losses[task].output(seen[task]) if task in seen else None,
            )
            for task in tasks
            if task in self._uncertain
        }
        self._fill(
            {
                t: kind
                for t, kind in kinds.items()
                if (t, kind) not in self._filled
            }
        )
        return {
            task: (
                self._answered(task, seen.get(task), kinds[task])
                if task in kinds
                else (self.by_task.get(task), self.sample_weights[task])
            )
            for task in tasks
        }

    def _fill(self, kinds: dict[str, bool]) -> None:
        """Replaces missing labels of tasks, which are looked at together."""
        if not kinds:
            return
        filled, weights = fill_missing(
            {task: self.by_task[task] for task in kinds},
            kinds,
            self._losses,
            self._one_batch,
        )
        for task, kind in kinds.items():
            self._filled[task, kind] = (
                filled[task],
                weights[task],
                self._times_given(task, weights[task]),
            )

    def _answered(
        self, task: str, seen: Seen | None, kind: bool
    ) -> tuple[Tensor, Tensor]:
        """Label and weight, by the loss itself where it may deal with NaN."""
        filled, alone, weight = self._filled[task, kind]
        loss = self._losses[task]
        if seen is None or not loss.takes_labels_together:
            return filled, weight
        filled, weight = answers(
            loss.by_labels(seen),
            self.by_task[task],
            filled,
            loss.y_pred(seen),
            alone,
        )
        if takes_mean(loss):
            weight = of_mean_1(weight, tuple(range(len(weight.shape))))
        return filled, self._times_given(task, weight)

    def _times_given(self, task: str, weight: Tensor) -> Tensor:
        """A weight times the sample weight that the user gave."""
        given = self.sample_weights[task]
        if given is None:
            return weight
        given = ops.cast(ops.convert_to_tensor(given), weight.dtype)
        return weight * like_rank(given, len(weight.shape))
