"""Moving averages of the weights, as optimizers with `use_ema` keep them."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.typing import Variable


def check_averages(optimizer: Any, variables: Sequence[Variable]) -> None:
    """Raises `ValueError` if the averages are those of other variables.

    Keras does so when `fit` is over, and all is trained.

    Args:
        optimizer: An optimizer, or `None`.
        variables: The trainable variables.
    """
    averages = [] if optimizer is None else _averages(optimizer)
    if averages and len(averages) != len(variables):
        raise ValueError(
            f"The optimizer averages {len(averages)} weights (`use_ema=True`), "
            f"and the model has {len(variables)} trainable ones: layers were "
            "frozen or unfrozen after `compile`. Call `compile` again."
        )


def _averages(optimizer: Any) -> list[Variable]:
    """The averages of the weights; none if there are none, or not yet."""
    optimizer = _inner(optimizer)
    if not optimizer.use_ema or not optimizer.built:
        return []
    return [v for v in optimizer.variables if v.name.endswith("_average")]


def _inner(optimizer: Any) -> Any:
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer


def start_averages(optimizer: Any, variables: Sequence[Variable]) -> None:
    """Starts the averages of an optimizer without updates at the weights.

    Keras ends `fit` by assigning the averages to the weights, also where no
    update was made: every step was left out, an error ended the first one, or
    `accumulate` batches have not come together yet. Averages start as zeros.

    Args:
        optimizer: A built optimizer.
        variables: The trainable variables that it was built with.
    """
    averages = _averages(optimizer)
    if not averages:
        return
    optimizer = _inner(optimizer)
    (updates,) = backend.to_host([ops.convert_to_tensor(optimizer.iterations)])
    if updates:
        return
    for variable, average in zip(variables, averages, strict=True):
        # On JAX a step may not be handed one array as two variables.
        average.assign(ops.copy(variable.value))
