"""One run: a model trained with one strategy from one seed."""

import math
import statistics
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl.callbacks import TaskMonitor
from keras_mtl.comparison.data import Data
from keras_mtl.comparison.examples import Arrays
from keras_mtl.comparison.identity import check_identity
from keras_mtl.comparison.identity import model_identity
from keras_mtl.comparison.objective import USUAL_OBJECTIVE
from keras_mtl.comparison.objective import read_objective
from keras_mtl.comparison.problem import NOTHING
from keras_mtl.comparison.problem import SINGLE_TASK
from keras_mtl.comparison.problem import make_model
from keras_mtl.comparison.random_state import fresh_start
from keras_mtl.comparison.random_state import random_state_kept
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.summary import TEST
from keras_mtl.comparison.summary import VALIDATION
from keras_mtl.comparison.summary import epoch_measures
from keras_mtl.comparison.task_measures import TITLES
from keras_mtl.comparison.tuning import apply_setting
from keras_mtl.comparison.tuning import tuned_strategy
from keras_mtl.comparison.work import AfterEpoch
from keras_mtl.models.single_task_model import SingleTaskModel
from keras_mtl.training.monitor import NonFiniteError

#: Called with a model and the number of the epoch that is over, from 1 on.
Probe = Callable[[Any, int], dict[str, float]]


#: Says whether the epoch with these measurements is the last.
Ends = Callable[[dict[str, float | None]], bool]


def train(
    settings: Settings,
    data: Data,
    strategy: str,
    seed: int,
    after_epoch: AfterEpoch,
    identity: dict[str, Any],
    probe: Probe | None = None,
    setting: Mapping[str, Any] = NOTHING,
    task: str | None = None,
    ends: Ends | None = None,
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
        probe: Returns what else is measured after an epoch. Defaults to
            `None`: what `TaskMonitor` measures in all steps.
        setting: What was tuned, by name. Defaults to nothing.
        task: The task that is trained alone, of which `data` has the labels.
            Defaults to `None`: all tasks.
        ends: Says after an epoch, by its measurements, whether it is the last.
            Defaults to `None`: all are trained.

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
    apply_setting(model, setting)
    trained = model if task is None else SingleTaskModel(model, task)
    monitor = TaskMonitor()
    history: list[dict[str, float | None]] = []

    def tested() -> dict[str, float | None]:
        with random_state_kept():
            found = trained.evaluate(
                **data.test.arguments(settings.batch_size),
                verbose=0,
                return_dict=True,
            )
        return {f"{TEST}{name}": _number(found[name]) for name in found}

    def note(logs: dict[str, Any]) -> None:
        entry = {name: _number(logs[name]) for name in logs}
        if data.validation is not data.test:
            entry = {**_of_validation(entry), **tested()}
        if probe is not None:
            measured = probe(model, len(history) + 1)
            entry |= {name: _number(measured[name]) for name in measured}
        history.append(entry)
        after_epoch(len(history), history[-1])
        if ends is not None and ends(history[-1]):
            trained.stop_training = True

    timer = EpochTimer(note)
    callbacks = data.new_callbacks()
    is_watched = probe is None and task is None
    message = None
    try:
        trained.fit(
            **data.train.fit_arguments(settings.batch_size),
            **_validation(settings, data),
            epochs=settings.epochs,
            strategy=tuned_strategy(strategy, setting),
            verbose=0,
            # The monitor first: it adds to the logs.
            callbacks=[
                *([monitor] if is_watched else []),
                timer,
                *callbacks,
            ],
        )
        if history and (callbacks or averages_weights(trained)):
            # What counts is the model that `fit` leaves: callbacks may have
            # gone back to other weights, and so may the optimizer.
            history[-1] |= tested()
    except NonFiniteError as error:
        # A result, and as good as any other: this strategy diverges.
        message = str(error)
    # Now it has weights; the optimizer may have another learning rate.
    of_model = {**model_identity(model), "model": of_model["model"]}
    check_identity(of_model, identity, f"seed {seed}")
    steps = data.train.steps(settings.batch_size)
    alone = {} if task is None else {"trained_parameters": _size(trained)}
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
        "seconds": durations(timer.wall, steps),
        **alone,
    }


def check_objective(settings: Settings, model: Any, data: Data) -> None:
    """Raises `ValueError` if a model does not measure the objective.

    Args:
        settings: The settings.
        model: A compiled model.
        data: The examples.
    """
    objective = read_objective(settings.objective)
    if objective.measure == USUAL_OBJECTIVE:
        # Every model has it, and what would find out need not be compiled.
        return
    examples = data.test.first(settings.batch_size)
    # Names alone matter, and without a strategy labels cannot be missing.
    labels = keras.tree.map_structure(np.nan_to_num, examples.y)
    tested = model.evaluate(
        **{**examples.arguments(settings.batch_size), "y": labels},
        verbose=0,
        return_dict=True,
    )
    logs = {f"{TEST}{name}": _number(tested[name]) for name in tested}
    measures = [
        name
        for name in epoch_measures(list(model.tasks), logs)
        if name.startswith("test_")
    ]
    if SINGLE_TASK in settings.strategies and not settings.tune:
        measures += TITLES
    if objective.measure not in measures:
        raise ValueError(
            f"Argument `objective` must be one of the model's measures: "
            f"{', '.join(measures)}. Received: objective={settings.objective}"
        )


def averages_weights(model: Any) -> bool:
    """Whether the optimizer ends with averages in the place of weights."""
    optimizer = model.optimizer
    # That of a loss scale has another inside.
    return getattr(optimizer, "inner_optimizer", optimizer).use_ema


def _validation(settings: Settings, data: Data) -> dict[str, Any]:
    if data.validation is None:
        return {}
    given: dict[str, Any] = {
        "validation_data": data.validation.validation_data()
    }
    if isinstance(data.validation, Arrays):
        given["validation_batch_size"] = settings.batch_size
    return given


def _of_validation(logs: dict[str, float | None]) -> dict[str, float | None]:
    """Renames what `fit` has validated: `val_` is what is tested here."""
    return {
        f"{VALIDATION}{name.removeprefix(TEST)}"
        if name.startswith(TEST)
        else name: value
        for name, value in logs.items()
    }


class EpochTimer(keras.callbacks.Callback):
    """Times every epoch; validation and what comes after it do not count.

    CPU time is what the process uses, whatever else the machine is doing.

    Args:
        after_epoch: Called after each epoch with its logs.

    Attributes:
        wall: Seconds of each epoch.
        cpu: Seconds of CPU time of each epoch.
    """

    def __init__(self, after_epoch: Callable[[dict[str, float]], None]):
        super().__init__()
        self.after_epoch = after_epoch
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._stop: tuple[float, float] | None = None
        self._start = _clocks()

    def on_test_begin(self, logs: Any = None) -> None:
        if self._stop is None:
            # Reading it waits for steps that are still being computed.
            int(self.model.optimizer.iterations)
            self._stop = _clocks()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # Reading the values waits for steps that are still being computed.
        values = {name: float(value) for name, value in (logs or {}).items()}
        cpu, wall = self._stop or _clocks()
        self.cpu.append(cpu - self._start[0])
        self.wall.append(wall - self._start[1])
        self.after_epoch(values)


def _clocks() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def median_epoch(seconds: Sequence[float]) -> float:
    """Returns the median, without the first epoch, which compiles.

    It counts if it is the only one.
    """
    return float(statistics.median(seconds[1:] or seconds))


def count_conflicts(
    model: Any,
    x: np.ndarray,
    y: dict[str, np.ndarray],
    batches: Iterable[np.ndarray],
) -> int:
    """Counts the mini-batches on which the two tasks' gradients conflict.

    Two tasks conflict on a mini-batch if the inner product of their gradients
    by the shared variables is negative.

    Args:
        model: A `MultiTaskModel` with two tasks.
        x: Inputs.
        y: Labels of each task.
        batches: Arrays of positions in `x`, one for each mini-batch.
    """
    conflicts = 0
    for batch in batches:
        labels = {task: values[batch] for task, values in y.items()}
        _, gradients = model.task_gradients(x[batch], labels)
        product = sum(ops.sum(rows[0] * rows[1]) for rows in gradients.shared)
        conflicts += float(ops.convert_to_numpy(product)) < 0.0
    return conflicts


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


def durations(seconds: list[float], steps: int | None) -> dict[str, Any]:
    """Returns `seconds` of a record.

    Args:
        seconds: Those of each epoch.
        steps: Number of steps of an epoch, `None` if it is not known.
    """
    if not seconds:
        return {"epochs": [], "per_epoch": None, "per_step": None}
    per_epoch = median_epoch(seconds)
    return {
        "epochs": seconds,
        "per_epoch": per_epoch,
        "per_step": None if steps is None else per_epoch / steps,
    }


def _size(model: Any) -> int:
    return int(model.count_params())


def _number(value: Any) -> float | None:
    """JSON has no NaN and no infinity."""
    number = float(value)
    return number if math.isfinite(number) else None
