"""Losses by task: labels, weights, masks and missing labels."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.models.by_output import by_name
from keras_mtl.models.by_output import check_order
from keras_mtl.models.label_shapes import check_shapes
from keras_mtl.models.labelled_mean import LabelledMean
from keras_mtl.models.labels import Labels
from keras_mtl.models.missing_labels import are_complete
from keras_mtl.models.missing_labels import check_any_labelled
from keras_mtl.models.missing_labels import check_label
from keras_mtl.models.missing_labels import like_rank
from keras_mtl.models.missing_labels import may_miss
from keras_mtl.typing import Tensor


class TaskLosses:
    """The losses of a compiled model.

    Args:
        losses: `Loss` by task, in the order of the tasks.
        weights: Factor by task: a number, a `keras.Variable` or `None`.
        output_names: Names of the model's outputs, in order, or `None` where
            they are not known before the first call.
        handle_missing: Whether samples without label are left out.
        one_batch: Whether all tasks always have the same number of samples.
            Defaults to `True`.
        named_outputs: Whether the outputs are a dict. Defaults to `True`.
    """

    def __init__(
        self,
        losses: dict[str, keras.losses.Loss],
        weights: dict[str, Any],
        output_names: list[str] | None,
        handle_missing: bool,
        one_batch: bool = True,
        named_outputs: bool = True,
    ):
        self.losses = losses
        self.one_batch = one_batch
        self.weights = weights
        self.output_names = output_names
        self.named_outputs = named_outputs
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

    # ------------------------------------------------------------ batches

    def labels(self, y: Any) -> dict[str, Any]:
        """Returns the labels by task."""
        names = self.output_names or self.tasks
        if isinstance(y, dict):
            missing = [task for task in self.tasks if y.get(task) is None]
            if missing:
                raise ValueError(
                    f"There are no labels for {_listed(missing)}. Give them "
                    "as `y={"
                    + ", ".join(f"{t!r}: ..." for t in self.tasks)
                    + "}`, with NaN or a sample weight of 0 where a label is "
                    "missing. A loss that needs no labels takes dummy ones of "
                    f"the batch's length: `y={{..., {missing[0]!r}: "
                    "numpy.zeros(n)}` (with NaN it would not be trained). Or "
                    "compile without a loss for that task. "
                    f"Received labels for: {', '.join(map(str, y)) or 'none'}."
                )
            return by_name("y", y, names)
        if isinstance(y, (list, tuple)):
            if len(y) == len(self.tasks) != len(names):
                names = self.tasks
            self.check_order("y", y)
            return by_name("y", y, names)
        if len(self.tasks) == 1 and y is not None:
            return {self.tasks[0]: y}
        raise ValueError(
            "The labels of a multi-task model must be a dict by task name or "
            f"a list in the order of the outputs ({', '.join(names)}). "
            f"Received: y of type {type(y).__name__}."
        )

    def check_before(self, y: Any, sample_weight: Any = None) -> None:
        """Finds what is missing before anything is changed.

        Args:
            y: What `fit` was given.
            sample_weight: What `fit` was given.
        """
        if isinstance(y, (dict, list, tuple)):
            labels = self.labels(y)
            for task in self.tasks:
                check_label(task, labels[task])
            check_any_labelled({task: labels[task] for task in self.tasks})
        if isinstance(sample_weight, dict):
            self.sample_weights(sample_weight)

    def check_order(self, argument: str, value: Any) -> None:
        """Tells of a list whose order may not be that which is meant."""
        if self.named_outputs:
            check_order(
                argument,
                value,
                self.output_names or self.tasks,
                are_known=self.output_names is not None,
            )

    def predictions(self, outputs: Any) -> dict[str, Any]:
        """Returns the outputs by task."""
        if isinstance(outputs, dict):
            missing = [task for task in self.tasks if task not in outputs]
            if missing:
                raise ValueError(
                    f"The model has no output for {_listed(missing)}: its "
                    f"outputs are {', '.join(map(str, outputs))}."
                )
            return outputs
        if isinstance(outputs, (list, tuple)) and self.output_names:
            return dict(zip(self.output_names, outputs, strict=True))
        if len(self.tasks) == 1 and not isinstance(outputs, (list, tuple)):
            return {self.tasks[0]: outputs}
        raise ValueError(
            "The model must return a dict from task names to outputs. "
            f"Received: {type(outputs).__name__}."
        )

    def sample_weights(self, sample_weight: Any) -> dict[str, Any]:
        """Returns the sample weights by task, `None` where there are none."""
        names = self.output_names or self.tasks
        if isinstance(sample_weight, (list, tuple)):
            if len(sample_weight) == len(self.tasks) != len(names):
                names = self.tasks
            self.check_order("sample_weight", sample_weight)
        return by_name("sample_weight", sample_weight, names)

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
        labels = self._read(self.labels(y), self.sample_weights(sample_weight))
        if self._kept is not None:
            self._kept.append((y, sample_weight, labels))
        return labels

    def _read(
        self, by_task: dict[str, Any], sample_weights: dict[str, Any]
    ) -> Labels:
        by_task = {
            task: ops.convert_to_tensor(label)
            for task, label in by_task.items()
            if task in self.losses and label is not None
        }
        uncertain = [
            task
            for task, label in by_task.items()
            if self.handle_missing
            and may_miss(label)
            and id(label) not in self._complete
        ]
        return Labels(
            by_task, sample_weights, uncertain, self.losses, self.one_batch
        )

    def compute(
        self, y: Any, outputs: Any, sample_weight: Any
    ) -> dict[str, Tensor]:
        """Returns the loss of each task, a scalar, without its weight."""
        return self._compute(
            self.read(y, sample_weight), self.predictions(outputs)
        )

    def compute_one(
        self, task: str, y: Any, output: Any, sample_weight: Any
    ) -> Tensor:
        """Returns the loss of one task, whose output alone is given."""
        labels = self.read(y, sample_weight)
        return self._compute(labels, {task: output}, [task])[task]

    def _compute(
        self,
        labels: Labels,
        outputs: dict[str, Any],
        tasks: list[str] | None = None,
    ) -> dict[str, Tensor]:
        tasks = self.tasks if tasks is None else tasks
        for task in tasks:
            self._check_fit(task, labels.by_task[task], outputs[task])
        found = labels.for_losses(tasks, outputs)
        values = {}
        for task, (label, weight) in found.items():
            if weight is not None:
                # On torch, Keras multiplies it by a mask in place: it would be
                # another one in the next pass, and in the user's array.
                weight = ops.copy(ops.convert_to_tensor(weight))
            value = self.losses[task](label, outputs[task], weight)
            if len(value.shape) > 0:
                raise ValueError(
                    f"The loss of task {task!r} must be a scalar. Received "
                    f"shape {tuple(value.shape)}: use a `reduction` other "
                    "than None."
                )
            value = backend.undivided_loss(value)
            values[task] = ops.cast(value, keras.config.floatx())
        return values

    def _check_fit(self, task: str, label: Tensor, output: Any) -> None:
        """Raises `ValueError` for labels that cannot belong to an output."""
        key = (task, tuple(label.shape), tuple(getattr(output, "shape", ())))
        if key not in self._fitting:
            check_label(task, label)
            check_shapes(task, self.losses[task], label, output)
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
        self, y: Any, outputs: Any, sample_weight: Any
    ) -> Tensor | None:
        """Returns which tasks have labels in a batch.

        Args:
            y: The labels of the batch.
            outputs: Outputs of the model, or `None` where the losses are not
                those of `compute`.
            sample_weight: Sample weights, or `None`.

        Returns:
            Tensor `[K]` of 0 and 1, or `None` if it is known without looking
            at values that all have.
        """
        if isinstance(y, (dict, list, tuple)):
            labels = self.read(y, sample_weight)
        else:
            # Of losses of the user's own, which take what they like.
            labels = self._read({}, self.sample_weights(sample_weight))
        found = labels.for_losses(
            self.tasks, {} if outputs is None else self.predictions(outputs)
        )
        flags = {}
        for task, (_, weight) in found.items():
            counted, label = None, labels.by_task.get(task)
            if weight is not None:
                counted = ops.not_equal(ops.convert_to_tensor(weight), 0)
            ignored = getattr(self.losses[task], "ignore_class", None)
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
    losses: dict[str, tuple[Any, Any]], parts: Any, handle_missing: bool
) -> TaskLosses | None:
    """Returns the losses of a compiled model, or `None` if it has none.

    Args:
        losses: By task, its `Loss` and its weight.
        parts: The `NetworkTasks` of the model, or `None`.
        handle_missing: As for `TaskLosses`.
    """
    if not losses:
        return None
    return TaskLosses(
        {task: loss for task, (loss, _) in losses.items()},
        {task: weight for task, (_, weight) in losses.items()},
        None if parts is None else parts.names,
        handle_missing=handle_missing,
        one_batch=parts is not None and parts.has_one_batch,
        named_outputs=parts is None or parts.named,
    )


def _listed(names: list[str]) -> str:
    quoted = ", ".join(repr(name) for name in names)
    return f"task {quoted}" if len(names) == 1 else f"tasks {quoted}"
