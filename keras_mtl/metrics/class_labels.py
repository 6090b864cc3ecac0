"""Labels and probabilities of classification, in one form."""

from typing import Any

from keras import ops

from keras_mtl.arguments import checked_integer
from keras_mtl.metrics.sample_weights import drop_last


def class_labels(y_true: Any, y_pred: Any) -> Any:
    """Returns class indices.

    Args:
        y_true: Class indices of the shape of `y_pred` without its last axis,
            or with 1 there; or one-hot labels of the shape of `y_pred`.
        y_pred: Tensor `[..., classes]`.

    Returns:
        Integer tensor of the shape of `y_pred` without its last axis.
    """
    y_true = ops.convert_to_tensor(y_true)
    rank = len(y_pred.shape) - 1
    labels = drop_last(y_true, rank)
    if (
        len(labels.shape) == rank + 1 > 1
        and labels.shape[-1] == y_pred.shape[-1]
    ):
        labels = ops.argmax(labels, axis=-1)
    if len(labels.shape) != rank or rank < 1:
        raise ValueError(
            "Labels must have the shape of the predictions without the last "
            "axis, that of the classes, or be one-hot. Received: labels of "
            f"shape {tuple(y_true.shape)}, predictions of shape "
            f"{tuple(y_pred.shape)}"
        )
    return ops.cast(labels, "int32")


def probabilities(y_pred: Any, from_logits: bool) -> Any:
    """Returns the probabilities of all classes.

    Args:
        y_pred: Tensor `[..., classes]` of logits or probabilities. One class
            is that of a sigmoid, the second of two.
        from_logits: Whether they are logits.

    Returns:
        Tensor `[..., classes]`, with two classes where there was one.
    """
    if y_pred.shape[-1] == 1:
        if from_logits:
            pair = [ops.sigmoid(-y_pred), ops.sigmoid(y_pred)]
        else:
            pair = [1.0 - y_pred, y_pred]
        return ops.concatenate(pair, axis=-1)
    return ops.softmax(y_pred) if from_logits else y_pred


def is_counted(labels: Any, ignore_class: int | None) -> Any:
    """Returns where labels are not those of the class to ignore."""
    if ignore_class is None:
        return None
    return ops.not_equal(labels, ignore_class)


def predicted_classes(y_pred: Any) -> Any:
    """Returns the most probable class of `[..., classes]`, two or more."""
    if y_pred.shape[-1] == 1:
        raise ValueError(
            "Predictions must have one column per class, two or more. "
            f"Received: shape {tuple(y_pred.shape)}. For the probability p of "
            "one class pass `keras.ops.concatenate([1 - p, p], axis=-1)`."
        )
    return ops.cast(ops.argmax(y_pred, axis=-1), "int32")


def checked_ignore_class(value: Any) -> int | None:
    """Returns `value` if it is an integer or `None`, or raises."""
    if value is None:
        return None
    return checked_integer("ignore_class", value, low=-(2**31))
