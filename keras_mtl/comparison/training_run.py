"""One run: a model trained with one strategy from one seed."""

import math
import statistics
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_mtl.callbacks import TaskMonitor
from keras_mtl.comparison.identity import check_identity
from keras_mtl.comparison.identity import model_identity
from keras_mtl.comparison.problem import Data
from keras_mtl.comparison.problem import make_model
from keras_mtl.comparison.problem import resolve_strategy
from keras_mtl.comparison.settings import Settings
from keras_mtl.demo.probe import EpochProbe
from keras_mtl.training.monitor import NonFiniteError

AfterEpoch = Callable[[int, dict[str, float | None]], None]


def fresh_start(seed: int) -> None:
    """Forgets what earlier runs of the process left in Keras, and seeds it."""
    # In this order: clearing forgets the seed, too.
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)


def train(
    settings: Settings,
    data: Data,
    strategy: str,
    seed: int,
    after_epoch: AfterEpoch,
    identity: dict[str, Any],
) -> dict[str, Any]:
    """Trains once and returns what was measured, ready for JSON.

    Args:
        settings: The settings.
        data: The examples.
        strategy: Name or import path of the strategy.
        seed: Decides weights, the order of batches and the strategy's draws.
        after_epoch: Called after each epoch with its number, from 1 on, and
            its measurements.
        identity: What `model_identity` and `data_identity` return of the runs
            that this one is compared with.

    Raises:
        OtherProblemError: If the model is another one.

    Returns:
        The record of a run as docs/comparison.md describes it, without the
        fields that are the same for all runs of the process.
    """
    fresh_start(seed)
    model = make_model(settings)
    of_model = model_identity(model)
    check_identity(of_model, identity, f"seed {seed}")
    monitor = TaskMonitor()
    history: list[dict[str, float | None]] = []
    seconds: list[float] = []

    def note(logs, duration):
        # Not `validation_data`: Keras would count it as part of the epoch.
        tested = model.evaluate(
            data.x_test,
            data.y_test,
            batch_size=settings.batch_size,
            verbose=0,
            return_dict=True,
        )
        entry = {**logs, **{f"val_{key}": tested[key] for key in tested}}
        history.append({key: _number(entry[key]) for key in entry})
        seconds.append(duration)
        after_epoch(len(history), history[-1])

    message = None
    try:
        model.fit(
            data.x,
            data.y,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            strategy=resolve_strategy(strategy),
            verbose=0,
            # The monitor first: it adds to the logs.
            callbacks=[monitor, EpochProbe(note)],
        )
    except NonFiniteError as error:
        # A result, and as good as any other: this strategy diverges.
        message = str(error)
    # Now it has weights; the optimizer may have another learning rate.
    of_model = {**model_identity(model), "model": of_model["model"]}
    check_identity(of_model, identity, f"seed {seed}")
    steps = math.ceil(data.num_train / settings.batch_size)
    return {
        "strategy": strategy,
        "seed": seed,
        "status": "finished" if message is None else "diverged",
        "message": message,
        **identity,
        **of_model,
        "steps_per_epoch": steps,
        "history": history,
        "cosines": mean_cosines(monitor.cosines),
        "seconds": _durations(seconds, steps),
    }


def mean_cosines(matrices: list[Any]) -> list[list[float | None]] | None:
    """Returns the mean of the epochs' matrices; `None` where there is none.

    Args:
        matrices: Arrays `[K, K]`, NaN where nothing was measured.
    """
    if not matrices:
        return None
    stack = np.stack(matrices)
    is_there = np.isfinite(stack)
    count = is_there.sum(axis=0)
    if not count.any():
        return None
    total = np.where(is_there, stack, 0.0).sum(axis=0)
    mean = total / np.maximum(count, 1)
    return [
        [float(value) if n else None for value, n in zip(*row, strict=True)]
        for row in zip(mean, count, strict=True)
    ]


def _durations(seconds: list[float], steps: int) -> dict[str, Any]:
    """The first epoch, which compiles, counts only if it is the only one."""
    if not seconds:
        return {"epochs": [], "per_epoch": None, "per_step": None}
    per_epoch = statistics.median(seconds[1:] or seconds)
    return {
        "epochs": seconds,
        "per_epoch": per_epoch,
        "per_step": per_epoch / steps,
    }


def _number(value: Any) -> float | None:
    """JSON has no NaN and no infinity."""
    number = float(value)
    return number if math.isfinite(number) else None
