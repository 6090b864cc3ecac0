"""A model whose outputs are tasks."""

from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.partition import Partition
from keras_mtl.models.network_model import NetworkModel
from keras_mtl.models.own_hooks import overrides
from keras_mtl.models.settings import Settings
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
            task: Name of an output.

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
        del x, training
        return self.task_losses.compute(y, y_pred, sample_weight)

    def find_presence(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """Returns which tasks have labels in a batch, or `None` for all.

        Args:
            y: Labels of the batch.
            y_pred: Outputs of the model.
            sample_weight: Sample weights, or `None`.
        """
        if self._overrides_losses():
            # What these make of labels and outputs is not known.
            y_pred = None
        return self.task_losses.presence(y, y_pred, sample_weight)

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
        output = parts.call(task, x, training=True)
        value = losses.compute_one(task, y, output, sample_weight)
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
        if self.task_losses is not None:
            by_task = backend.differentiable(
                lambda: self.compute_task_losses(
                    x, y, y_pred, sample_weight, training
                )
            )
            presence = None
            if self.task_losses.handle_missing:
                presence = self.find_presence(y, y_pred, sample_weight)
            self.task_losses.track(by_task, presence, self._batch_sizes(x))
            losses.append(sum(self.task_losses.weigh(by_task)))
        losses.extend(ops.sum(penalty) for penalty in self.losses)
        if not losses:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        total = losses[0] if len(losses) == 1 else ops.sum(ops.stack(losses))
        return backend.divided_loss(total)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        if isinstance(sample_weight, dict) and self.task_losses is not None:
            # Keras wants an entry for each output.
            sample_weight = self.task_losses.sample_weights(sample_weight)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def track_losses(self, x: Any, outcome: Any) -> None:
        """Updates the running means of the losses after a step."""
        sizes = self._batch_sizes(x)
        for metric in super().metrics[:1]:
            metric.update_state(outcome.total, sample_weight=sizes[0])
        self.task_losses.track(outcome.task_losses, outcome.presence, sizes)

    def _batch_sizes(self, x: Any) -> list[Any]:
        """The number of samples of each task."""
        parts = self.task_structure.parts
        tasks = self.task_losses.tasks
        if parts is not None and parts.task_inputs:
            return [_batch_size(x[task]) for task in tasks]
        return [_batch_size(x)] * len(tasks)

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


def _batch_size(x: Any) -> Any:
    first = next(t for t in keras.tree.flatten(x) if t is not None)
    return ops.shape(first)[0]
