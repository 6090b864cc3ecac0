"""What is tuned for which strategy, and how a setting is applied."""

import dataclasses
import inspect
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_mtl import strategies
from keras_mtl.balancers import Equal
from keras_mtl.comparison.calls import arguments_of
from keras_mtl.comparison.calls import read_call
from keras_mtl.comparison.data import Data
from keras_mtl.comparison.examples import Arrays
from keras_mtl.comparison.import_path import import_object
from keras_mtl.comparison.import_path import is_import_path
from keras_mtl.comparison.problem import SCALARIZATION
from keras_mtl.comparison.problem import SINGLE_TASK
from keras_mtl.comparison.problem import resolve_strategy
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.tuner import Drawn
from keras_mtl.comparison.tuner import Range

#: Seed of the split, the same for all strategies.
SPLIT_SEED = 0

#: What is tuned of the optimizer, whatever the strategy.
OF_THE_OPTIMIZER = ("learning_rate", "weight_decay")

#: Where numbers are looked for. Plain gradient descent takes larger steps.
RANGES = {"rho": (0.01, 1.0), "weight_decay": (1e-6, 0.1)}
LEARNING_RATES = (1e-4, 0.1)
LEARNING_RATES_OF_SGD = (1e-3, 1.0)


def tuned_names(settings: Settings, strategy: str) -> list[str]:
    """Returns what is tuned for a strategy, of what `tune` names.

    Arguments that are given with a strategy's name are the user's.
    """
    if not settings.tune:
        return []
    names = [
        name
        for name in settings.tune
        if name in OF_THE_OPTIMIZER or _takes(strategy, name)
    ]
    if strategy == SCALARIZATION and "loss_weights" not in names:
        names.append("loss_weights")
    return names


def check_tuning(settings: Settings) -> None:
    """Raises `ValueError` if there is something that cannot be tuned."""
    if SCALARIZATION in settings.strategies and not settings.tune:
        raise ValueError(
            f"The weights of {SCALARIZATION!r} are tuned: add --tune "
            "learning_rate, or compare fixed(weights=[...])."
        )
    for name in ("budget", "pruner"):
        if getattr(settings, name) is not None and not settings.tune:
            raise ValueError(
                f"Argument `{name}` is of tuning: add --tune learning_rate. "
                f"Received: {name}={getattr(settings, name)}"
            )
    found = {
        name
        for strategy in settings.strategies
        for name in tuned_names(settings, strategy)
    }
    for name in settings.tune:
        if name not in found:
            raise ValueError(
                "Argument `tune` must name `learning_rate`, `weight_decay`, "
                "`loss_weights` or an argument of one of the strategies, which "
                f"is not given with its name. Received: tune={name}"
            )
        known = {*OF_THE_OPTIMIZER, "loss_weights", *RANGES, *settings.space}
        if name not in known:
            raise ValueError(
                f"There is no range for {name!r}: give one in the table "
                f"[space] of the file of settings, {name} = [0.1, 10.0] for "
                "instance."
            )


def space_of(
    settings: Settings, strategy: str, num_tasks: int, optimizer: Any
) -> dict[str, Range]:
    """Returns the ranges of all that is drawn for a strategy."""
    usual = (
        LEARNING_RATES_OF_SGD
        if isinstance(optimizer, keras.optimizers.SGD)
        else LEARNING_RATES
    )
    ranges = {**RANGES, "learning_rate": usual, **settings.space}
    space = {}
    for name in tuned_names(settings, strategy):
        if name == "loss_weights":
            for part in range(num_tasks - 1):
                space[f"loss_weights/{part}"] = Range(0.0, 1.0)
        else:
            space[name] = Range(*ranges[name])
    return space


def setting_of(drawn: Drawn, num_tasks: int) -> dict[str, Any]:
    """Returns the setting that was drawn.

    Loss weights are of a flat Dirichlet distribution, times their number:
    each takes its part of the stick that those before it have left.
    """
    parts = [drawn[name] for name in drawn if name.startswith("loss_weights/")]
    setting: dict[str, Any] = {
        name: value for name, value in drawn.items() if "/" not in name
    }
    if parts:
        left, weights = float(num_tasks), []
        for index, part in enumerate(parts):
            share = 1.0 - (1.0 - part) ** (1.0 / (num_tasks - 1 - index))
            weights.append(left * share)
            left -= weights[-1]
        setting["loss_weights"] = [*weights, left]
    return setting


def apply_setting(model: Any, setting: Mapping[str, Any]) -> None:
    """Gives the optimizer of a model what was tuned of it."""
    for name in OF_THE_OPTIMIZER:
        if name in setting:
            try:
                setattr(model.optimizer, name, setting[name])
            except TypeError as error:
                raise ValueError(
                    f"The model's optimizer has a schedule, and no {name} to "
                    f"tune: give it a number. {error}"
                ) from error


def tuned_strategy(strategy: str, setting: Mapping[str, Any]) -> Any:
    """Returns a strategy with what was tuned of it."""
    return resolve_strategy(
        strategy,
        {
            name: value
            for name, value in setting.items()
            if name not in OF_THE_OPTIMIZER
        },
    )


def split(data: Data, fraction: float) -> Data:
    """Returns what trials train on and are measured on.

    These are the user's validation examples, or else a part of the training
    examples. Those for testing are not looked at.

    Args:
        data: The examples.
        fraction: Part of the training examples that are not trained on.

    Raises:
        ValueError: If there is nothing to choose settings on.
    """
    if data.validation is not None:
        return dataclasses.replace(data, test=data.validation)
    if not isinstance(data.train, Arrays):
        raise ValueError(
            "Argument `tune` needs examples that are not trained on. The "
            f"training examples are a {type(data.train.source).__name__}, of "
            "which no part can be held back: give the Problem `validation`."
        )
    count = data.train.count
    held_back = max(1, round(fraction * count))
    if held_back >= count:
        raise ValueError(
            f"Argument `validation` leaves none of {count} training examples. "
            f"Received: validation={fraction}"
        )
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    # In their order, as a user would take them.
    train, held = np.sort(order[held_back:]), np.sort(order[:held_back])
    return dataclasses.replace(
        data, train=data.train.rows(train), test=data.train.rows(held)
    )


def _takes(strategy: str, name: str) -> bool:
    """Whether a strategy has something of a name that is not given."""
    call = read_call("strategies", strategy)
    if name in call.arguments:
        return False
    if is_import_path(strategy):
        function = import_object("strategies", strategy)
        return name in inspect.signature(function).parameters
    if name == "loss_weights":
        # Others weigh the losses themselves, or have one each.
        return call.name == SCALARIZATION or (
            call.name != SINGLE_TASK
            and isinstance(resolve_strategy(strategy).balancer, Equal)
        )
    found = strategies.class_of(call.name)
    return found is not None and name in _own_arguments(found)


def _own_arguments(found: type) -> Sequence[str]:
    return arguments_of(found) or ()
