"""Whether labels can belong to an output, for Keras's own losses."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import losses

from keras_mtl.models.own_functions import is_own
from keras_mtl.models.own_functions import shapes_agree
from keras_mtl.models.own_functions import unwrapped

#: Labels are class indices, with a dimension less than the output.
OF_INDICES = (
    losses.SparseCategoricalCrossentropy,
    losses.sparse_categorical_crossentropy,
    losses.CategoricalGeneralizedCrossEntropy,
    losses.categorical_generalized_cross_entropy,
    losses.Circle,
    losses.circle,
)

#: Labels have a number for each number of the output; none is repeated.
OF_CLASSES = (
    losses.BinaryCrossentropy,
    losses.binary_crossentropy,
    losses.BinaryFocalCrossentropy,
    losses.binary_focal_crossentropy,
    losses.CategoricalCrossentropy,
    losses.categorical_crossentropy,
    losses.CategoricalFocalCrossentropy,
    losses.categorical_focal_crossentropy,
)

#: Labels and outputs are sequences of lengths of their own.
OF_SEQUENCES = (losses.CTC, losses.ctc)

#: One value is for many labels.
OF_MANY = (losses.Dice, losses.dice, losses.Tversky, losses.tversky)


def kind_of(loss: losses.Loss) -> Any:
    """Returns the function of a function's loss, else the class."""
    return unwrapped(getattr(loss, "function", type(loss)))


def is_known(loss: losses.Loss) -> bool:
    """Whether a loss is one of Keras's own, whose rules are known."""
    return not is_own(kind_of(loss))


def takes_labels_together(loss: losses.Loss) -> bool:
    """Whether one value of a loss may be for labels that can miss apart."""
    return not is_known(loss) or kind_of(loss) in OF_MANY


def check_shapes(
    task: str, loss: losses.Loss, y_true: Any, y_pred: Any
) -> None:
    """Raises `ValueError` if labels cannot belong to an output.

    Only for Keras's own losses, whose rules are known; others may pack into
    `y_true` what they like.
    """
    kind = kind_of(loss)
    if (
        not is_known(loss)
        or keras.tree.is_nested(y_pred)
        or kind in OF_SEQUENCES
    ):
        return
    labels, output = tuple(y_true.shape), tuple(y_pred.shape)
    if _fit(labels, output, kind):
        return
    hint = "Labels must have the shape of the output for this loss."
    if kind in OF_INDICES:
        hint = (
            "This loss takes class indices, of the shape of the output without "
            "its last dimension (or with 1 in its place); for one-hot labels "
            'use "categorical_crossentropy".'
        )
    elif len(output) > 1 and labels in (output[:-1], (*output[:-1], 1)):
        hint += ' For class indices use "sparse_categorical_crossentropy".'
    raise ValueError(
        f"The labels of task {task!r} do not fit its output: labels have "
        f"shape {labels}, the output has shape {output}. {hint}"
    )


def _fit(labels: Sequence[Any], output: Sequence[Any], kind: Any) -> bool:
    if len(labels) == len(output):
        if kind in OF_INDICES:
            return _is_one(labels) and shapes_agree(labels[:-1], output[:-1])
        if kind in OF_CLASSES:
            return shapes_agree(labels, output)
        return shapes_agree(labels[:-1], output[:-1]) and (
            shapes_agree(labels[-1:], output[-1:])
            or 1 in (*labels[-1:], *output[-1:])
        )
    if len(labels) == len(output) - 1:
        return shapes_agree(labels, output[:-1]) and (
            kind in OF_INDICES or _is_one(output)
        )
    if len(labels) == len(output) + 1:
        return shapes_agree(labels[:-1], output) and _is_one(labels)
    return False


def _is_one(shape: Sequence[Any]) -> bool:
    """Whether the last size is 1, or may be."""
    return shape[-1] in (None, 1)
