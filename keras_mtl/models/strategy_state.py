"""Whether the state of a strategy in a file is one for the strategy in use."""

import os
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.typing import Shape

#: Files in which Keras looks for variables by the attributes of a model.
SUFFIXES = (".keras", ".weights.h5", ".weights.json")

#: What to do where the state of a strategy does not fit.
WHAT_TO_DO = (
    "Compile the model with the tasks, strategy and frozen layers that it had "
    "when the file was saved, or take the weights of the network alone: "
    "`model.load_weights(path, weights_only=True)`."
)


class Snapshot:
    """Values of variables, and the settings that follow some of them.

    Args:
        variables: The variables.
        strategy: The strategy that some of them are of, or `None`.
    """

    def __init__(self, variables: Sequence[keras.Variable], strategy: Any):
        self._variables = list(variables)
        self._values = [ops.copy(v.value) for v in self._variables]
        self._flatness = None if strategy is None else strategy.flatness
        # Numbers of which the variables have but the first digits.
        self._radii = {
            name: getattr(self._flatness, name)
            for name in ("rho", "head_rho")
            if getattr(self._flatness, name, None) is not None
        }

    def restore(self) -> None:
        """Sets all back to what it was."""
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)
        for name, radius in self._radii.items():
            setattr(self._flatness, name, radius)


class _Reader(keras.layers.Layer):
    """Stands in for a model of whose file only a part is wanted."""

    def __init__(self, name: str, part: Any):
        super().__init__()
        setattr(self, name, part)
        self.built = True

    def load_own_variables(self, store: Any) -> None:
        """Leaves what the model has of its own."""


def load_part(filepath: str | os.PathLike, name: str, part: Any) -> None:
    """Loads one attribute of a model from a file of the model.

    Args:
        filepath: What `load_weights` takes. Of other files than those that
            have the attributes of models, nothing is loaded.
        name: Name of the attribute.
        part: Its value, a layer.
    """
    if str(filepath).endswith(SUFFIXES):
        keras.saving.load_weights(_Reader(name, part), filepath)


def check_state(strategy: Any, filepath: str | os.PathLike) -> None:
    """Raises `ValueError` if the state in a file does not fit a strategy.

    Args:
        strategy: A `Strategy`, built; it is left as it is.
        filepath: What `load_weights` takes.
    """
    before = Snapshot(strategy.variables, strategy)
    try:
        load_part(filepath, "strategy", strategy)
    except ValueError as error:
        raise ValueError(
            f"{filepath} has state of {strategy.nested_names} that does not "
            f"fit the model. {WHAT_TO_DO} What Keras says: {error}"
        ) from error
    finally:
        before.restore()


class _Number(keras.layers.Layer):
    """Notes how many variables a file has for it."""

    def __init__(self) -> None:
        super().__init__()
        self.found = 0
        self.built = True

    def load_own_variables(self, store: Any) -> None:
        self.found = len(store.keys())


def has_state(filepath: str | os.PathLike) -> bool:
    """Returns whether a file has state of a strategy."""
    number = _Number()
    load_part(filepath, "strategy", number)
    return number.found > 0


def is_for_variables(strategy: Any, num_tasks: int) -> bool:
    """Whether the state of a strategy is for certain variables of a network.

    Args:
        strategy: A `Strategy`, built.
        num_tasks: Number of tasks K.
    """
    other = type(strategy).from_config(strategy.get_config())
    # For one variable of a shape that no network has; without any, some
    # methods have no state at all.
    other.build(num_tasks, [(1, 1, 1, 1, 1, 1)], strategy.compute_dtype)
    return _shapes(other) != _shapes(strategy)


def _shapes(strategy: Any) -> list[Shape]:
    return [tuple(variable.shape) for variable in strategy.variables]
