"""Losses by task: labels, weights, masks and missing labels."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from keras_mtl.models.given_data import GivenData
from keras_mtl.models.labelled_mean import LabelledMean
from keras_mtl.models.labels import Labels
from keras_mtl.models.missing_labels import are_complete
from keras_mtl.models.missing_labels import like_rank
from keras_mtl.models.missing_labels import may_miss
from keras_mtl.models.task_loss import Seen
from keras_mtl.models.task_loss import TaskLoss
from keras_mtl.models.task_loss import label_parts
from keras_mtl.typing import Tensor


class TaskLosses:
    """The losses of a compiled model.

    Args:
        losses: `TaskLoss` by task, in the order of the tasks.
        weights: Factor by task: a number, a `keras.Variable` or `None`.
        given: Reads by task what the model is given.
        handle_missing: Whether samples without label are left out.
        one_batch: Whether all tasks always have the same number of samples.
            Defaults to `True`.
    """

    def __init__(
        self,
        losses: dict[str, TaskLoss],
        weights: dict[str, Any],
        given: GivenData,
        handle_missing: bool,
        one_batch: bool = True,
    ):
        self.losses = losses
        self.one_batch = one_batch
        self.weights = weights
        self.given = given
        self.handle_missing = handle_missing
        #: Whether the weights are factors, not a strategy's preference.
        self.apply_weights = True
        self._complete: set[int] = set()
        #: What has been read of the batch of a step, while it is made.
        self._kept: list[tuple[Any, Any, Labels]] | None = None
        self._fitting: set[tuple] = set()
        self.trackers: list[LabelledMean] = []
        if len(losses) > 1:
            self.trackers = [
                LabelledMean(name=f"{task}_loss") for task in losses
            ]

    @property
    def tasks(self) -> list[str]:
        return list(self.losses)

    # ------------------------------------------------------------- losses

    @contextlib.contextmanager
    def reading_once(self, y: Any = None) -> Iterator[None]:
        """Within it, what has been read of labels is kept for other passes.

        Args:
            y: Labels to look at, where they can be read: if none are missing,
                nothing needs to be done about those.
        """
        known = [
            label
            for label in keras.tree.flatten(y)
            if keras.ops.is_tensor(label) and may_miss(label)
        ]
        if known and are_complete(known):
            self._complete = {id(label) for label in known}
        self._kept = []
        try:
            yield
        finally:
            self._complete, self._kept = set(), None

    def read(self, y: Any, sample_weight: Any) -> Labels:
        """Reads the labels of a batch."""
        for given, weight, labels in self._kept or ():
            if given is y and weight is sample_weight:
                return labels
        labels = self._read(
            self.given.labels(y), self.given.sample_weights(sample_weight)
        )
        if self._kept is not None:
            self._kept.append((y, sample_weight, labels))
        return labels

    def _read(
        self, by_task: dict[str, Any], sample_weights: dict[str, Any]
    ) -> Labels:
        by_task = {
            task: (
                {k: ops.convert_to_tensor(part) for k, part in label.items()}
                if isinstance(label, dict)
                else ops.convert_to_tensor(label)
            )
            for task, label in by_task.items()
            if label is not None
        }
        uncertain = [
            task
            for task, label in by_task.items()
            if self.handle_missing
            and not isinstance(label, dict)
            and may_miss(label)
            and id(label) not in self._complete
        ]
        return Labels(
            by_task, sample_weights, uncertain, self.losses, self.one_batch
        )

    def compute(
        self, y: Any, seen: dict[str, Seen], sample_weight: Any
    ) -> dict[str, Tensor]:
        """Returns the losses of tasks, scalars, without their weights.

        Args:
            y: Labels of the batch.
            seen: What the tasks see of it besides; of those to compute.
            sample_weight: Sample weights, or `None`.
        """
        labels = self.read(y, sample_weight)
        for task in seen:
            self._check_fit(task, labels.by_task.get(task), seen[task])
        values = {}
        for task, (label, weight) in labels.for_losses(seen, seen).items():
            is_given = labels.sample_weights[task] is not None
            value = self.losses[task].value(label, seen[task], weight, is_given)
            values[task] = ops.cast(value, keras.config.floatx())
        return values

    def _check_fit(self, task: str, label: Any, seen: Seen) -> None:
        """Raises `ValueError` for labels that cannot belong to a task."""
        shapes = tuple(tuple(part.shape) for part in label_parts(label))
        output = self.losses[task].output(seen)
        key = (task, shapes, tuple(getattr(output, "shape", ())))
        if key not in self._fitting:
            self.losses[task].check(label, seen)
            # The next batches are alike, and eager steps have no time to lose.
            self._fitting.add(key)

    def weigh(self, task_losses: dict[str, Any]) -> list[Any]:
        """Returns the losses times `loss_weights`, in the order of tasks."""
        if set(task_losses) != set(self.tasks):
            raise ValueError(
                "`compute_task_losses` must return a loss for each task, and "
                f"for nothing else: {', '.join(self.tasks)}. Received: "
                f"{', '.join(map(str, task_losses)) or 'none'}."
            )
        return [self.weigh_one(task, task_losses[task]) for task in self.tasks]

    def weigh_one(self, task: str, loss: Any) -> Any:
        """Returns the loss of a task times its `loss_weights`."""
        loss = ops.convert_to_tensor(loss)
        if len(loss.shape) > 0:
            raise ValueError(
                "`compute_task_losses` must return a scalar for each task. "
                f"Received: shape {tuple(loss.shape)} for {task!r}; take its "
                "mean, for instance."
            )
        weight = self.weights[task]
        if weight is None or not self.apply_weights:
            return loss
        if isinstance(weight, keras.Variable):
            weight = ops.cast(ops.stop_gradient(weight.value), loss.dtype)
        return ops.multiply(loss, weight)

    @property
    def weight_variables(self) -> list[keras.Variable]:
        """Those of the weights that may change, each once."""
        variables = [
            weight
            for weight in self.weights.values()
            if isinstance(weight, keras.Variable)
        ]
        return list({id(variable): variable for variable in variables}.values())

    def presence(
        self, y: Any, seen: dict[str, Seen] | None, sample_weight: Any
    ) -> Tensor | None:
        """Returns which tasks have labels in a batch.

        Args:
            y: The labels of the batch.
            seen: As for `compute`, or `None` where the losses are not those
                of `compute`.
            sample_weight: Sample weights, or `None`.

        Returns:
            Tensor `[K]` of 0 and 1, or `None` if it is known without looking
            at values that all have.
        """
        if seen is not None:
            labels = self.read(y, sample_weight)
        else:
            # Of losses of the user's own, which take what they like.
            labels = self._read(
                self.given.labels_if_any(y),
                self.given.sample_weights(sample_weight),
            )
        found = labels.for_losses(self.tasks, seen or {})
        flags = {}
        for task, (_, weight) in found.items():
            counted, label = None, labels.by_task.get(task)
            if weight is not None:
                counted = ops.not_equal(ops.convert_to_tensor(weight), 0)
            ignored = self.losses[task].ignore_class
            if (
                ignored is not None
                and label is not None
                and self.handle_missing
            ):
                known = ops.not_equal(label, ignored)
                if counted is not None:
                    counted = like_rank(counted, len(known.shape))
                    known = ops.logical_and(known, counted)
                counted = known
            if counted is not None:
                flags[task] = ops.any(counted)
        if not flags:
            return None
        return ops.stack(
            [
                ops.cast(flags.get(task, True), keras.config.floatx())
                for task in self.tasks
            ]
        )

    def track(
        self,
        task_losses: dict[str, Any],
        presence: Tensor | None,
        batch_sizes: list[Any],
    ) -> None:
        """Updates the running mean of each task's loss.

        Args:
            task_losses: Dict from tasks to losses.
            presence: Tensor `[K]`, 1 for tasks with labels, or `None`.
            batch_sizes: For each task, the number of samples.
        """
        weights = batch_sizes
        if presence is not None and self.trackers:
            # Taken apart first: XLA sees through what has just been stacked.
            flags = ops.unstack(presence, len(batch_sizes))
            sizes = {
                id(size): ops.cast(size, presence.dtype) for size in batch_sizes
            }
            weights = [
                flag * sizes[id(size)]
                for flag, size in zip(flags, batch_sizes, strict=True)
            ]
        for task, tracker, weight in zip(
            self.tasks, self.trackers, weights, strict=False
        ):
            tracker.update_state(task_losses[task], sample_weight=weight)


def make_task_losses(
    losses: dict[str, TaskLoss],
    weights: dict[str, Any],
    parts: Any,
    handle_missing: bool,
) -> TaskLosses | None:
    """Returns the losses of a compiled model, or `None` if it has none.

    Args:
        losses: As for `TaskLosses`.
        weights: As for `TaskLosses`.
        parts: The `NetworkTasks` of the model, or `None`.
        handle_missing: As for `TaskLosses`.
    """
    if not losses:
        return None
    given = GivenData(
        losses,
        None if parts is None else parts.names,
        parts is None or parts.named,
        parts is not None and parts.task_inputs,
    )
    return TaskLosses(
        losses,
        weights,
        given,
        handle_missing=handle_missing,
        one_batch=parts is not None
        and parts.has_one_batch
        and not given.entries,
    )
