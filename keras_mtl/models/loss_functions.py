"""Anything that Keras's `compile` takes as a loss, as a `Loss`."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_mtl.models.own_functions import name_of
from keras_mtl.typing import Tensor

#: Losses that Keras resolves from the shapes of labels and outputs.
SHAPE_DEPENDENT = ("crossentropy", "ce")


class FunctionLoss(keras.losses.Loss):
    """A plain loss function as a `Loss`.

    Args:
        function: Maps `(y_true, y_pred)` to one loss per sample.
    """

    def __init__(self, function: Callable[..., Any]):
        super().__init__(name=name_of(function) or "loss")
        self.function = function

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # As keras.losses does for its own functions.
        y_true, y_pred = same_rank(y_true, y_pred)
        return self.function(y_true, y_pred)


def same_rank(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Adds or drops a last dimension of 1 where the ranks differ by one."""
    true_rank, pred_rank = len(y_true.shape), len(y_pred.shape)
    if true_rank == pred_rank + 1 and y_true.shape[-1] == 1:
        if pred_rank == 1:
            return y_true, ops.expand_dims(y_pred, axis=-1)
        return ops.squeeze(y_true, axis=-1), y_pred
    if pred_rank == true_rank + 1 and y_pred.shape[-1] == 1:
        if true_rank == 1:
            return ops.expand_dims(y_true, axis=-1), y_pred
        return y_true, ops.squeeze(y_pred, axis=-1)
    return y_true, y_pred


def as_loss(task: str, identifier: Any) -> keras.losses.Loss:
    """Returns a `Loss` for anything that Keras's `compile` takes.

    Args:
        task: Name of the task, for error messages.
        identifier: A name, a config, a function or a `keras.losses.Loss`, or
            a list of one of these.
    """
    if isinstance(identifier, (list, tuple)):
        if len(identifier) != 1:
            raise ValueError(
                f"Task {task!r} must have one loss; for several, pass a "
                f"function that adds them up. Received: {identifier!r}."
            )
        # As Keras takes it, too.
        (identifier,) = identifier
    if isinstance(identifier, str) and identifier in SHAPE_DEPENDENT:
        raise ValueError(
            f"The loss {identifier!r} of task {task!r} depends on the shape of "
            'the labels. Name it in full: "sparse_categorical_crossentropy" '
            'for class indices, "categorical_crossentropy" for one-hot labels, '
            '"binary_crossentropy" for yes and no.'
        )
    if not (isinstance(identifier, (str, dict)) or callable(identifier)):
        raise ValueError(
            f"The loss of task {task!r} must be the name of a Keras loss, a "
            "function or a `keras.losses.Loss`. Received: "
            f"{identifier!r}."
        )
    loss = keras.losses.get(identifier)
    return loss if isinstance(loss, keras.losses.Loss) else FunctionLoss(loss)
