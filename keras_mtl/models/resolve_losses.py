"""What `compile` was given as losses, by task."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.arguments import checked_number
from keras_mtl.models.by_output import by_name
from keras_mtl.models.loss_functions import as_loss


def resolve_losses(
    loss: Any, loss_weights: Any, names: Sequence[str] | None
) -> dict[str, tuple[keras.losses.Loss, Any]]:
    """Returns what `compile` was given as losses, by task.

    Args:
        loss: Argument of `compile`.
        loss_weights: Argument of `compile`.
        names: Names of the model's outputs in order, or `None` where they
            are not known before the first call.

    Returns:
        Dict from tasks, in the order of the outputs, to pairs of a `Loss` and
        its weight: a number, a `keras.Variable` or `None`.

    Raises:
        ValueError: If names do not fit the outputs, or there is no loss.
    """
    if loss is None:
        return {}
    if names is None:
        if not isinstance(loss, dict):
            raise ValueError(
                "The losses of a subclassed MultiTaskModel must be a dict "
                f"by task name. Received: loss={loss!r}."
            )
        names = list(loss)
    by_output = by_name("loss", loss, names)
    if isinstance(loss, dict):
        left_out = [name for name in names if name not in loss]
        if left_out:
            raise ValueError(
                f"There is no loss for {', '.join(map(repr, left_out))}. "
                "Give each output a loss, or None to keep it as an output "
                "that is not trained: "
                f"`loss={{..., {left_out[0]!r}: None}}`."
            )
    tasks = [name for name in names if by_output[name] is not None]
    if not tasks:
        raise ValueError(
            "Every loss is None, so there is nothing to train. Give at "
            f"least one output a loss. Received: loss={loss!r}."
        )
    if loss_weights is None:
        weights = dict.fromkeys(names)
    elif isinstance(loss_weights, (dict, list, tuple)):
        weights = by_name("loss_weights", loss_weights, names)
        weights = {
            name: _checked_weight(name, weight)
            for name, weight in weights.items()
        }
    else:
        raise ValueError(
            "Argument `loss_weights` must be a dict by task name or a list "
            f"in the order of the outputs. Received: {loss_weights!r}."
        )
    return {
        task: (as_loss(task, by_output[task]), weights[task]) for task in tasks
    }


def _checked_weight(name: str, weight: Any) -> Any:
    if weight is None:
        return None
    if isinstance(weight, keras.Variable) and tuple(weight.shape) == ():
        return weight
    return checked_number(
        f"loss_weights[{name!r}]",
        weight,
        "(-inf, inf)",
        "a scalar `keras.Variable`",
    )


def check_preference(weights: Mapping[str, Any]) -> None:
    """Raises `ValueError` for weights of which an aggregator sees no change.

    Args:
        weights: Weights by task.
    """
    for name, weight in weights.items():
        if isinstance(weight, keras.Variable):
            raise ValueError(
                '`loss_weights="preference"` is read once, so '
                f"`loss_weights[{name!r}]` must be a number. Received: a "
                "keras.Variable."
            )


def as_numbers(loss_weights: Any) -> Any:
    """What is saved of `loss_weights`: the present value of a variable."""
    return keras.tree.map_structure(
        lambda weight: (
            float(ops.convert_to_numpy(weight))
            if isinstance(weight, keras.Variable)
            else weight
        ),
        loss_weights,
    )
