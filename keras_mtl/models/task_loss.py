"""What a task is: a loss, and what it is computed from."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.models.label_shapes import check_shapes
from keras_mtl.models.label_shapes import takes_labels_together
from keras_mtl.models.missing_labels import check_label
from keras_mtl.typing import Tensor

#: A name, which stands for a tensor, or names, for a dict of tensors.
Names = str | Sequence[str]


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a task sees of a batch besides its labels.

    Attributes:
        outputs: Outputs of the model for its samples, by name; those at
            least that its loss reads.
        inputs: Inputs of its samples.
        training: Whether this is a step of training.
        run: Returns outputs for names, inputs and `training`.
    """

    outputs: dict[str, Any]
    inputs: Any
    training: bool
    run: Callable[[Sequence[str], Any, bool], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Reads:
    """What a task's loss is computed from.

    Attributes:
        outputs: The outputs that it depends on.
        labels: The labels, `()` if it takes none.
        data: Name of its samples in `x`, `None` if all tasks have the same.
        sees_outputs: Whether the outputs for its samples are looked at.
        calls_model: Whether it calls the model itself.
    """

    outputs: Names
    labels: Names
    data: str | None = None
    sees_outputs: bool = True
    calls_model: bool = False

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs that it depends on, as a tuple."""
        return as_tuple(self.outputs)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, as a tuple."""
        return as_tuple(self.labels)

    @property
    def seen_names(self) -> tuple[str, ...]:
        """The outputs for its samples that are looked at."""
        return self.output_names if self.sees_outputs else ()


class TaskLoss:
    """The loss of a task: of what it is, and its value.

    Args:
        task: Name of the task.
        reads: What it is computed from.
    """

    #: As of a `keras.losses.Loss`.
    reduction: str | None = "sum_over_batch_size"

    #: Number of a class that counts as a missing label, or `None`.
    ignore_class: int | None = None

    def __init__(self, task: str, reads: Reads):
        self.task = task
        self.reads = reads

    @property
    def takes_labels_together(self) -> bool:
        """Whether one value may be for labels that can miss apart."""
        return True

    def y_pred(self, seen: Seen) -> Any:
        """The outputs as the loss takes them, `None` if it takes none."""
        if not self.reads.sees_outputs:
            return None
        return pick(seen.outputs, self.reads.outputs)

    def output(self, seen: Seen) -> Any:
        """The one output that labels belong to, `None` if there is none."""
        reads = self.reads
        if not reads.sees_outputs or not isinstance(reads.outputs, str):
            return None
        return seen.outputs[reads.outputs]

    def by_labels(self, seen: Seen) -> Callable[[Any, Any], Tensor]:
        """Returns the loss before its reduction, of labels and outputs."""
        raise NotImplementedError

    def check(self, labels: Any, seen: Seen) -> None:
        """Raises `ValueError` for labels that cannot belong to the task."""
        for label in label_parts(labels):
            check_label(self.task, label)

    def value(
        self, labels: Any, seen: Seen, weight: Any, is_given: bool
    ) -> Tensor:
        """Returns the loss of a batch, a scalar.

        Args:
            labels: Labels without those that are missing.
            seen: What else the task sees.
            weight: Weights of the samples, or `None`.
            is_given: Whether the user has given them, at least in part.
        """
        raise NotImplementedError


class OutputLoss(TaskLoss):
    """A Keras loss of one output and its labels.

    Args:
        task: As for `TaskLoss`.
        reads: As for `TaskLoss`.
        loss: The `keras.losses.Loss`.
    """

    def __init__(self, task: str, reads: Reads, loss: keras.losses.Loss):
        super().__init__(task, reads)
        self.loss = loss
        self.reduction = loss.reduction
        self.ignore_class = getattr(loss, "ignore_class", None)

    @property
    def takes_labels_together(self) -> bool:
        return takes_labels_together(self.loss)

    def by_labels(self, seen: Seen) -> Callable[[Any, Any], Tensor]:
        return self.loss.call

    def check(self, labels: Any, seen: Seen) -> None:
        super().check(labels, seen)
        check_shapes(self.task, self.loss, labels, self.output(seen))

    def value(
        self, labels: Any, seen: Seen, weight: Any, is_given: bool
    ) -> Tensor:
        if weight is not None:
            # On torch, Keras multiplies it by a mask in place: it would be
            # another one in the next pass, and in the user's array.
            weight = ops.copy(ops.convert_to_tensor(weight))
        value = self.loss(labels, self.output(seen), weight)
        if len(value.shape) > 0:
            raise ValueError(
                f"The loss of task {self.task!r} must be a scalar. Received "
                f"shape {tuple(value.shape)}: use a `reduction` other "
                "than None."
            )
        return backend.undivided_loss(value)


def label_parts(labels: Any) -> list[Any]:
    """The tensors of what a task has as labels: none, one or a dict."""
    if labels is None:
        return []
    return list(labels.values()) if isinstance(labels, dict) else [labels]


def as_tuple(names: Names) -> tuple[str, ...]:
    """One name or several as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names)


def pick(tensors: dict[str, Any], names: Names) -> Any:
    """The tensor of a name, or a dict of those of several."""
    if isinstance(names, str):
        return tensors[names]
    return {name: tensors[name] for name in names}
