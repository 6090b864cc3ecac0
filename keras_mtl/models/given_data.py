"""What a model is given, by task: labels, sample weights, outputs, samples."""

from collections.abc import Mapping
from typing import Any

from keras_mtl.models.by_output import by_name
from keras_mtl.models.by_output import check_order
from keras_mtl.models.missing_labels import check_any_labelled
from keras_mtl.models.missing_labels import check_label
from keras_mtl.models.task_loss import TaskLoss
from keras_mtl.models.task_loss import pick


class GivenData:
    """Reads what `fit` is given, and what the model returns, by task.

    Args:
        losses: `TaskLoss` by task.
        output_names: Names of the model's outputs, in order, or `None` where
            they are not known before the first call.
        named_outputs: Whether the outputs are a dict.
        task_inputs: Whether each output has inputs of its own.
    """

    def __init__(
        self,
        losses: Mapping[str, TaskLoss],
        output_names: list[str] | None,
        named_outputs: bool,
        task_inputs: bool,
    ):
        self._losses = losses
        self._tasks = list(losses)
        self._output_names = output_names
        self._named_outputs = named_outputs
        self._task_inputs = task_inputs
        reads = [loss.reads for loss in losses.values()]
        self._labels = list(
            dict.fromkeys(name for read in reads for name in read.label_names)
        )
        #: Names of samples in `x`, where tasks have samples of their own.
        self.entries = list(
            dict.fromkeys(read.data for read in reads if read.data is not None)
        )

    @property
    def is_by_output(self) -> bool:
        """Whether each task is an output, with labels of its name."""
        return not self.entries and all(
            loss.reads.outputs == task == loss.reads.labels
            for task, loss in self._losses.items()
        )

    def entry_outputs(self, entry: str) -> list[str]:
        """The outputs that are looked at for samples of tasks."""
        return list(
            dict.fromkeys(
                name
                for loss in self._losses.values()
                if loss.reads.data == entry
                for name in loss.reads.seen_names
            )
        )

    @property
    def _names(self) -> list[str]:
        return self._output_names or self._tasks

    # ------------------------------------------------------------ samples

    def has_entries(self, x: Any) -> bool:
        """Whether inputs are a dict of samples of tasks.

        Raises:
            ValueError: If there are samples of some tasks only, or of none.
        """
        if not self.entries or not isinstance(x, dict):
            return False
        given = list(x)
        if not any(entry in self.entries for entry in given):
            return False
        if set(given) != set(self.entries):
            raise ValueError(
                "Tasks have samples of their own, so `x` must be a dict with "
                f"an entry for each of {_quoted(self.entries)}, which are the "
                f"`data` of the tasks. Received: {_quoted(given)}."
            )
        return True

    def samples(self, x: Any, task: str) -> Any:
        """The inputs of the samples of a task."""
        reads = self._losses[task].reads
        if reads.data is not None:
            if not self.has_entries(x):
                raise ValueError(
                    f"There are no samples for task {task!r}, whose `data` is "
                    f"{reads.data!r}: give `x` as a dict with an entry for "
                    f"each of {_quoted(self.entries)}. Received: x of type "
                    f"{type(x).__name__}."
                )
            return x[reads.data]
        if self._task_inputs and isinstance(reads.outputs, str):
            return x[reads.outputs]
        return x

    def run_on(self, x: Any, task: str) -> Any:
        """What the network is run on for the samples of a task."""
        return x if self._task_inputs else self.samples(x, task)

    # ------------------------------------------------------------ outputs

    def outputs_of(self, task: str, outputs: Any) -> dict[str, Any]:
        """Returns the outputs for the samples of a task by name.

        Args:
            task: Its name.
            outputs: What the model has returned.
        """
        reads = self._losses[task].reads
        if not reads.sees_outputs:
            return {}
        if reads.data is not None:
            outputs = outputs[reads.data]
        found = self.by_name(outputs)
        missing = [name for name in reads.output_names if name not in found]
        if missing:
            raise ValueError(
                f"The model has no output for {_listed(missing)}: its "
                f"outputs are {', '.join(map(str, found))}."
            )
        return found

    def by_name(self, outputs: Any) -> dict[str, Any]:
        """Returns the outputs of the model by name."""
        if isinstance(outputs, dict):
            return outputs
        if isinstance(outputs, (list, tuple)):
            if self._output_names:
                return dict(zip(self._output_names, outputs, strict=True))
        elif len(self._names) == 1:
            return {self._names[0]: outputs}
        raise ValueError(
            "The model must return a dict from task names to outputs. "
            f"Received: {type(outputs).__name__}."
        )

    # ------------------------------------------------------------- labels

    def labels(self, y: Any) -> dict[str, Any]:
        """Returns the labels by task, of those that take any."""
        found = self.labels_by_name(y)
        return {
            task: pick(found, loss.reads.labels)
            for task, loss in self._losses.items()
            if loss.reads.labels
        }

    def labels_if_any(self, y: Any) -> dict[str, Any]:
        """Those labels that there are, for losses that nothing is known of."""
        if not isinstance(y, (dict, list, tuple)):
            return {}
        if not isinstance(y, dict):
            return self.labels(y)
        return {
            task: y[loss.reads.labels]
            for task, loss in self._losses.items()
            if isinstance(loss.reads.labels, str)
            and y.get(loss.reads.labels) is not None
        }

    def labels_by_name(self, y: Any) -> dict[str, Any]:
        """Returns all labels that there are by name."""
        names = [
            *self._names,
            *(name for name in self._labels if name not in self._names),
        ]
        if isinstance(y, dict):
            missing = [name for name in self._labels if y.get(name) is None]
            if missing:
                raise self._no_labels(missing[0], y)
            return by_name("y", y, names)
        if isinstance(y, (list, tuple)):
            names = self._names
            if len(y) == len(self._labels) != len(names):
                names = self._labels
            self.check_order("y", y)
            return by_name("y", y, names)
        if y is None and not self._labels:
            return {}
        if len(self._labels) == 1 and y is not None:
            return {self._labels[0]: y}
        raise ValueError(
            "The labels of a multi-task model must be a dict by task name or "
            f"a list in the order of the outputs ({', '.join(names)}). "
            f"Received: y of type {type(y).__name__}."
        )

    def _no_labels(self, name: str, y: dict[str, Any]) -> ValueError:
        tasks = [
            task
            for task, loss in self._losses.items()
            if name in loss.reads.label_names
        ]
        named = "" if tasks == [name] else f", which is {name!r} in `y`"
        return ValueError(
            f"There are no labels for {_listed(tasks)}{named}. Give them as "
            "`y={"
            + ", ".join(f"{label!r}: ..." for label in self._labels)
            + "}`, with NaN or a sample weight of 0 where a label is missing. "
            "A loss that needs no labels is a function without an argument "
            f"`y_true`: `loss={{..., {tasks[0]!r}: function}}` with `def "
            "function(y_pred): ...`, see `keras_mtl.losses.Task`; no dummy "
            "labels are needed. Or compile without a loss for that task. "
            f"Received labels for: {', '.join(map(str, y)) or 'none'}."
        )

    def check_before(
        self, y: Any, sample_weight: Any, is_strict: bool = True
    ) -> None:
        """Finds what is missing before anything is changed.

        Args:
            y: What `fit` was given.
            sample_weight: What `fit` was given.
            is_strict: Whether each task must have its labels.
        """
        if isinstance(y, (dict, list, tuple)):
            labels = self.labels(y) if is_strict else self.labels_if_any(y)
            single = {
                task: label
                for task, label in labels.items()
                if not isinstance(label, dict)
            }
            for task, label in single.items():
                check_label(task, label)
            check_any_labelled(single)
        if isinstance(sample_weight, dict):
            self.sample_weights(sample_weight)

    def check_order(self, argument: str, value: Any) -> None:
        """Tells of a list whose order may not be that which is meant."""
        if self._named_outputs:
            check_order(
                argument,
                value,
                self._names,
                are_known=self._output_names is not None,
            )

    # ----------------------------------------------------- sample weights

    def sample_weights(self, sample_weight: Any) -> dict[str, Any]:
        """Returns the sample weights by task, `None` where there are none.

        Those of the labels are for all tasks that have none by their name.
        """
        found = self._weights_by_name(sample_weight)
        weights = {}
        for task, loss in self._losses.items():
            weight = found.get(task)
            labels = loss.reads.labels
            if weight is None and isinstance(labels, str):
                weight = found.get(labels)
            weights[task] = weight
        return weights

    def output_weights(self, sample_weight: Any) -> dict[str, Any]:
        """Returns the sample weights by output, `None` where there are none."""
        found = self._weights_by_name(sample_weight)
        return {name: found.get(name) for name in self._names}

    def _weights_by_name(self, sample_weight: Any) -> dict[str, Any]:
        names = self._names
        if isinstance(sample_weight, (list, tuple)):
            if len(sample_weight) == len(self._tasks) != len(names):
                names = self._tasks
            self.check_order("sample_weight", sample_weight)
            return by_name("sample_weight", sample_weight, names)
        names = list(dict.fromkeys([*names, *self._tasks, *self._labels]))
        return by_name("sample_weight", sample_weight, names)


def _quoted(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def _listed(names: list[str]) -> str:
    return f"task{'s' if len(names) > 1 else ''} {_quoted(names)}"
