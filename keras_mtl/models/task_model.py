"""A model whose outputs are tasks."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.partition import Partition
from keras_mtl.models.check_tasks import check_several
from keras_mtl.models.check_tasks import check_tasks
from keras_mtl.models.given_data import GivenData
from keras_mtl.models.measured import measured_outputs
from keras_mtl.models.measured import measured_tasks
from keras_mtl.models.network_model import NetworkModel
from keras_mtl.models.own_hooks import overrides
from keras_mtl.models.settings import Settings
from keras_mtl.models.task_loss import Seen
from keras_mtl.models.task_loss import TaskLoss
from keras_mtl.typing import Tensor


class TaskModel(NetworkModel):
    """A network model whose outputs are tasks, with a loss and metrics each.

    Args:
        *args: As for `NetworkModel`.
        **kwargs: As for `NetworkModel`.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._settings = Settings(self)

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, in order: outputs that have a loss."""
        if self.task_losses is not None:
            return self.task_losses.tasks
        return list(self.task_structure.output_names or [])

    @property
    def outputs_by_task(self) -> dict[str, tuple[str, ...]]:
        """By task, the outputs that its loss depends on."""
        if self.task_losses is None:
            return {task: (task,) for task in self.tasks}
        return {
            task: loss.reads.output_names
            for task, loss in self.task_losses.losses.items()
        }

    @property
    def shared_variables(self) -> list[keras.Variable]:
        """Trainable variables that two or more tasks reach."""
        return self.partition().shared_variables

    @property
    def task_variables(self) -> dict[str, list[keras.Variable]]:
        """For each task, the trainable variables that only it reaches."""
        return self.partition().task_variables

    def partition(self) -> Partition:
        """Returns which trainable variables serve which tasks."""
        return self.task_structure.partition()

    def task_model(self, task: str) -> keras.Model:
        """Returns a model of one task, which shares the weights.

        Args:
            task: Name of an output, or of a task that is of one.

        Returns:
            A `keras.Model` from the inputs (with `task_inputs`, those of the
            task) to that output. Nothing else is run.

        Raises:
            ValueError: If there is no such output, or the model is a subclass
                whose parts are not known.

        Example:

        ```python
        model.task_model("kind").predict(x)
        ```
        """
        return self.task_structure.task_model(task)

    # ------------------------------------------- samples of tasks' own

    def of_one_entry(self, inputs: Any) -> Any:
        losses = self.task_losses
        if losses is None or not losses.given.has_entries(inputs):
            return inputs
        return inputs[losses.given.entries[0]]

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        losses = self.task_losses
        if losses is None or not losses.given.has_entries(inputs):
            return super().call(inputs, training=training)
        return {
            entry: self.run_outputs(
                losses.given.entry_outputs(entry), inputs[entry], training
            )
            for entry in losses.given.entries
        }

    def run_outputs(
        self, names: Sequence[str], inputs: Any, training: bool | None
    ) -> dict[str, Any]:
        """Returns outputs by name, those that are named at least.

        Args:
            names: Names of outputs.
            inputs: Inputs of the network.
            training: Whether this is a step of training.
        """
        parts, network = self.task_structure.called_parts, self
        if parts is not None:
            return parts.call(names, inputs, training)
        if not names:
            return {}
        if self.task_structure.called_network is not None:
            network = self.network
        return self.task_losses.given.by_name(
            network(inputs, training=training)
        )

    def _seen(self, x: Any, y_pred: Any, training: bool) -> dict[str, Seen]:
        """What each task sees of a batch besides labels.

        Args:
            x: Inputs of the batch.
            y_pred: Outputs of the model.
            training: Whether this is a step of training.
        """
        given = self.task_losses.given
        seen = {}
        for task in self.tasks:
            samples = given.samples(x, task)
            outputs = given.outputs_of(task, y_pred)
            seen[task] = Seen(outputs, samples, training, self.run_outputs)
        return seen

    def check_losses(self, losses: dict[str, TaskLoss]) -> None:
        """Raises `ValueError` for tasks that the model cannot serve."""
        check_several(self.task_structure, losses)
        check_tasks(self.task_structure, losses)

    def _check_given(self, y: Any, sample_weight: Any = None) -> None:
        """Finds what is missing before anything is changed."""
        is_strict = not self._overrides_losses()
        self.task_losses.given.check_before(y, sample_weight, is_strict)

    # ------------------------------------------------------------- losses

    @property
    def task_losses(self) -> Any:
        """The compiled `TaskLosses`, or `None`."""
        # Keras reads properties before `__init__` is through.
        settings = self.__dict__.get("_settings")
        return None if settings is None else settings.losses

    def compute_task_losses(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> dict[str, Any]:
        """Computes the loss of each task; override it for losses of your own.

        Args:
            x: Inputs of the batch.
            y: Labels of the batch.
            y_pred: Outputs of the model.
            sample_weight: Sample weights: one tensor, or a dict by task.
            training: Whether this is a training step.

        Returns:
            Dict from each of `tasks` to a scalar, without `loss_weights`.
        """
        seen = self._seen(x, y_pred, training)
        return self.task_losses.compute(y, seen, sample_weight)

    def find_presence(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any
    ) -> Any:
        """Returns which tasks have labels in a batch, or `None` for all.

        Args:
            x: Inputs of the batch.
            y: Labels of the batch.
            y_pred: Outputs of the model.
            sample_weight: Sample weights, or `None`.
        """
        # What losses of the user's own make of labels and outputs is not
        # known.
        seen = None
        if not self._overrides_losses():
            seen = self._seen(x, y_pred, training=True)
        return self.task_losses.presence(y, seen, sample_weight)

    def _overrides_losses(self) -> bool:
        return bool(overrides(self, "compute_task_losses"))

    @property
    def entangled_tasks(self) -> set[str]:
        """Tasks whose random numbers depend on the heads of others."""
        return self._settings.entangled_tasks

    def single_task_loss(
        self, task: str, x: Any, y: Any, sample_weight: Any, alone: bool = True
    ) -> Tensor:
        """The weighted loss of one task.

        Args:
            task: Its name.
            x: Inputs of the batch.
            y: Labels of the batch.
            sample_weight: Sample weights, or `None`.
            alone: Whether to run the task's own head only. Where that cannot
                be separated (a subclass, or losses that may look at all
                outputs), the whole model is run.
        """
        losses = self.task_losses
        parts = self.task_structure.called_parts
        if parts is None or self._overrides_losses() or not alone:
            outputs = self(x, training=True)
            by_task = self.compute_task_losses(
                x, y, outputs, sample_weight, training=True
            )
            return losses.weigh(by_task)[losses.tasks.index(task)]
        names = losses.losses[task].reads.seen_names
        outputs = parts.call(names, losses.given.run_on(x, task), True)
        samples = losses.given.samples(x, task)
        seen = {task: Seen(outputs, samples, True, self.run_outputs)}
        value = losses.compute(y, seen, sample_weight)[task]
        return losses.weigh_one(task, value)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        losses = []
        # Of the pass, not of calls that losses make.
        penalties = [ops.sum(penalty) for penalty in self.losses]
        if self.task_losses is not None:
            by_task = backend.differentiable(
                lambda: self.compute_task_losses(
                    x, y, y_pred, sample_weight, training
                )
            )
            presence = None
            if self.task_losses.handle_missing:
                presence = self.find_presence(x, y, y_pred, sample_weight)
            self.task_losses.track(by_task, presence, self.batch_sizes(x))
            losses.append(sum(self.task_losses.weigh(by_task)))
        losses.extend(penalties)
        if not losses:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        total = losses[0] if len(losses) == 1 else ops.sum(ops.stack(losses))
        return backend.divided_loss(total)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        losses = self.task_losses
        compiled = self._settings.compiled
        metrics = [
            it for it in (compiled.metrics, compiled.weighted_metrics) if it
        ]
        if losses is not None and isinstance(sample_weight, dict):
            # Keras wants an entry for each output.
            sample_weight = (
                losses.given.sample_weights(sample_weight)
                if losses.given.entries
                else losses.given.output_weights(sample_weight)
            )
        # Keras keeps those of an earlier `compile`, too.
        if losses is not None and self._settings.has_metrics:
            if losses.given.has_entries(x):
                y, y_pred = measured_tasks(losses, y, y_pred, metrics)
            elif _lacks_labels(losses.given, y, y_pred):
                y_pred = losses.given.by_name(y_pred)
                y = measured_outputs(losses, y, y_pred, metrics)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def track_losses(self, x: Any, outcome: Any) -> None:
        """Updates the running means of the losses after a step."""
        sizes = self.batch_sizes(x)
        for metric in super().metrics[:1]:
            metric.update_state(outcome.total, sample_weight=sizes[0])
        self.task_losses.track(outcome.task_losses, outcome.presence, sizes)

    def batch_sizes(self, x: Any) -> list[Any]:
        """The number of samples of each task."""
        given = self.task_losses.given
        sizes: dict[int, Any] = {}
        found = []
        for task in self.task_losses.tasks:
            samples = given.samples(x, task)
            if id(samples) not in sizes:
                sizes[id(samples)] = _batch_size(samples)
            found.append(sizes[id(samples)])
        return found

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        found = super().non_trainable_variables
        if self.task_losses is None:
            return found
        # So that a step sees what callbacks assign to them, also on JAX.
        known = {id(variable) for variable in self.variables}
        return [
            *found,
            *(
                v
                for v in self.task_losses.weight_variables
                if id(v) not in known
            ),
        ]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        metrics = super().metrics
        if self.task_losses is None:
            return metrics
        # Where Keras lists the losses of outputs.
        position = 1 + self._settings.has_metrics
        return [
            *metrics[:position],
            *self.task_losses.trackers,
            *metrics[position:],
        ]


def _lacks_labels(given: GivenData, y: Any, y_pred: Any) -> bool:
    """Whether Keras would not find a label for each output."""
    if not given.is_by_output:
        return True
    return isinstance(y, dict) and any(
        y.get(name) is None for name in given.by_name(y_pred)
    )


def _batch_size(x: Any) -> Any:
    first = next(t for t in keras.tree.flatten(x) if t is not None)
    return ops.shape(first)[0]
