"""The loss of a task as a function of what its arguments name."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_mtl.models.missing_labels import like_rank
from keras_mtl.models.task_loss import Reads
from keras_mtl.models.task_loss import Seen
from keras_mtl.models.task_loss import TaskLoss
from keras_mtl.models.task_loss import pick
from keras_mtl.typing import Tensor


class ArgumentLoss(TaskLoss):
    """A function that is called with what its arguments name.

    Args:
        task: As for `TaskLoss`.
        reads: As for `TaskLoss`.
        function: Returns a scalar or one value per sample.
        arguments: Those of its arguments that it is called with.
    """

    def __init__(
        self,
        task: str,
        reads: Reads,
        function: Callable[..., Any],
        arguments: tuple[str, ...],
    ):
        super().__init__(task, reads)
        self._function = function
        self._arguments = arguments

    def by_labels(self, seen: Seen) -> Callable[[Any, Any], Tensor]:
        return lambda y_true, y_pred: self._call(y_true, y_pred, seen, None)

    def value(
        self, labels: Any, seen: Seen, weight: Any, is_given: bool
    ) -> Tensor:
        values = self._call(labels, self.y_pred(seen), seen, weight)
        shape = tuple(values.shape)
        takes_weight = "sample_weight" in self._arguments
        if not shape:
            if weight is None or takes_weight:
                return values
            if is_given:
                raise ValueError(
                    f"The loss of task {self.task!r} is one number for the "
                    "batch, which sample weights cannot reach. Let its "
                    "function take `sample_weight`, or return a value for "
                    "each sample; or give sample weights to the other tasks "
                    "alone, as a dict by task."
                )
            # Of missing labels: there are some, or none.
            return values * ops.cast(ops.mean(weight), values.dtype)
        self._check_samples(shape, seen)
        if weight is not None and not takes_weight:
            weight = like_rank(ops.convert_to_tensor(weight), len(shape))
            values = values * ops.cast(weight, values.dtype)
        return ops.mean(values)

    def _call(
        self, labels: Any, y_pred: Any, seen: Seen, weight: Any
    ) -> Tensor:
        def model(inputs: Any) -> Any:
            names = self.reads.output_names
            return pick(
                seen.run(names, inputs, seen.training), self.reads.outputs
            )

        known = {
            "y_true": labels,
            "y_pred": y_pred,
            # `train_on_batch` hands arrays on as they are given.
            "inputs": keras.tree.map_structure(
                lambda x: None if x is None else ops.convert_to_tensor(x),
                seen.inputs,
            ),
            "model": model,
            "sample_weight": weight,
            "training": seen.training,
        }
        found = self._function(
            **{name: known[name] for name in self._arguments}
        )
        if keras.tree.is_nested(found) or found is None:
            raise ValueError(
                f"The loss of task {self.task!r} must return one number or "
                "one per sample. Received: "
                f"{type(found).__name__}. Add up what it returns, or make "
                "tasks of its parts."
            )
        found = ops.convert_to_tensor(found)
        if "float" not in keras.backend.standardize_dtype(found.dtype):
            raise ValueError(
                f"The loss of task {self.task!r} must be of floating point "
                f"numbers. Received: {found.dtype}."
            )
        return found

    def _check_samples(self, shape: tuple, seen: Seen) -> None:
        first = next(
            t for t in keras.tree.flatten(seen.inputs) if t is not None
        )
        sizes = shape[0], first.shape[0]
        if shape[1:] in ((), (1,)) and (None in sizes or sizes[0] == sizes[1]):
            return
        raise ValueError(
            f"The loss of task {self.task!r} must be a number, or one for "
            f"each of the {first.shape[0]} samples. Received: shape {shape}. "
            "Take its mean, for instance: `keras.ops.mean(...)`."
        )
