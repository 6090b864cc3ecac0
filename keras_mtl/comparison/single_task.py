"""One model per task: what a multi-task model has to be better than."""

import dataclasses
import itertools
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_mtl.comparison.data import Data
from keras_mtl.comparison.examples import Arrays
from keras_mtl.comparison.examples import Examples
from keras_mtl.comparison.problem import SINGLE_TASK
from keras_mtl.comparison.problem import make_model
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.summary import TEST
from keras_mtl.comparison.summary import VALIDATION
from keras_mtl.comparison.training_run import durations
from keras_mtl.comparison.training_run import train
from keras_mtl.comparison.work import AfterEpoch
from keras_mtl.models.resolve_losses import as_numbers
from keras_mtl.models.single_task_model import check_separable

Logs = Mapping[str, float | None]

#: Before the names of what is measured on data that is not trained on.
PREFIXES = (TEST, VALIDATION)

#: What models of one task call as the model of all does.
MONITORED = ("loss", "val_loss")


def check_single_task(settings: Settings, model: Any, data: Data) -> None:
    """Raises `ValueError` if there cannot be a model for each task.

    Args:
        settings: The settings.
        model: The model with all tasks.
        data: The examples.
    """
    if SINGLE_TASK in settings.strategies:
        try:
            check_separable(model)
            for task in model.tasks:
                of_task(data, task)
            _check_callbacks(data)
        except ValueError as error:
            raise ValueError(
                f"Strategy {SINGLE_TASK!r} cannot be compared: {error} Or "
                "leave it out."
            ) from error


def of_task(data: Data, task: str) -> Data:
    """Returns the examples with the labels and weights of one task."""
    test = _of_task(data.test, task)
    validation = data.validation
    if validation is not None:
        # What is the same stays the same, and is measured once.
        is_test = validation is data.test
        validation = test if is_test else _of_task(validation, task)
    return dataclasses.replace(
        data,
        train=_of_task(data.train, task),
        test=test,
        validation=validation,
    )


def _of_task(examples: Examples, task: str) -> Arrays:
    if not isinstance(examples, Arrays):
        raise ValueError(
            "labels are taken out of arrays, and a "
            f"{type(examples.source).__name__} makes batches."
        )
    if not isinstance(examples.y, dict):
        raise ValueError(
            "the labels must be a dict by task, to know which are whose, "
            f"not {type(examples.y).__name__}."
        )
    weight = examples.sample_weight
    if isinstance(weight, dict):
        weight = {task: weight[task]} if task in weight else None
    return Arrays(examples.x, {task: examples.y[task]}, weight)


def _check_callbacks(data: Data) -> None:
    for callback in data.new_callbacks():
        monitor = getattr(callback, "monitor", None)
        if monitor is not None and monitor not in MONITORED:
            raise ValueError(
                f"{type(callback).__name__} monitors {monitor!r}, which a "
                "model of one task does not log; it may monitor "
                f"{' or '.join(MONITORED)}."
            )


def train_single_tasks(
    settings: Settings,
    data: Data,
    seed: int,
    after_epoch: AfterEpoch,
    identity: dict[str, Any],
    setting: Mapping[str, Any],
) -> dict[str, Any]:
    """Trains a model for each task, all from one seed and with one setting.

    Each has the weights that the model of all tasks would start from.

    Args:
        settings: The settings.
        data: The examples.
        seed: Seed of each training.
        after_epoch: Called with the results of all, in the epochs of the last.
        identity: As for `train`: that of the model of all tasks.
        setting: What was tuned, by name.

    Returns:
        One record for all, with `trainings`, their number: losses and times
        are sums, and so are `trained_parameters` and `trained_epochs`. What
        callbacks have stopped stays as it is while the others go on. If one
        diverges, none has finished.
    """
    tasks = identity["tasks"]
    weights = _weights(make_model(settings))
    records: list[dict[str, Any]] = []

    def history_with(last: Sequence[Logs]) -> list[dict[str, float | None]]:
        histories = [*(it["history"] for it in records), last]
        count = max(map(len, histories)) if last else 0
        return [
            joint_logs(
                {
                    task: history[min(epoch, len(history) - 1)]
                    for task, history in zip(tasks, histories, strict=True)
                },
                weights,
            )
            for epoch in range(count)
        ]

    def ignore(epoch: int, logs: Logs) -> None:
        """Nothing is known of all tasks yet."""

    seen: list[Logs] = []

    def note(epoch: int, logs: Logs) -> None:
        seen.append(logs)
        after_epoch(epoch, history_with(seen)[epoch - 1])

    for task in tasks:
        records.append(
            train(
                settings,
                of_task(data, task),
                SINGLE_TASK,
                seed,
                note if task == tasks[-1] else ignore,
                identity,
                setting=setting,
                task=task,
            )
        )
        if records[-1]["status"] != "finished":
            # What the others would give is not a result either.
            break
    last = records.pop()
    is_whole = len(records) == len(tasks) - 1
    history = history_with(last["history"]) if is_whole else []
    records.append(last)
    of_epochs = [it["seconds"]["epochs"] for it in records]
    # The median is of those in which all are trained.
    whole = [sum(it) for it in zip(*of_epochs, strict=False)]
    seconds = [sum(it) for it in itertools.zip_longest(*of_epochs, fillvalue=0)]
    return {
        **last,
        "message": last["message"] and f"{task}: {last['message']}",
        "history": history,
        "cosines": None,
        "seconds": {
            **durations(whole, last["steps_per_epoch"]),
            "epochs": seconds,
        },
        "trainings": len(tasks),
        "trained_epochs": sum(map(len, of_epochs)),
        "trained_parameters": sum(it["trained_parameters"] for it in records),
    }


def joint_logs(
    by_task: Mapping[str, Logs], weights: Mapping[str, float]
) -> dict[str, float | None]:
    """Returns the logs of one epoch as a model of all tasks would name them.

    Args:
        by_task: Logs of each task's own model.
        weights: Factors of the losses in the sum of all, which has no
            penalties.
    """
    joint: dict[str, float | None] = {}
    for prefix in ("", *PREFIXES):
        losses = [by_task[task].get(f"{prefix}{task}_loss") for task in by_task]
        known = [it for it in losses if it is not None]
        if prefix != VALIDATION:
            joint[f"{prefix}loss"] = None
        if len(known) == len(losses):
            factors = [weights[task] for task in by_task]
            joint[f"{prefix}loss"] = sum(
                a * b for a, b in zip(factors, known, strict=True)
            )
    for task, logs in by_task.items():
        for name, value in logs.items():
            prefix = next((p for p in PREFIXES if name.startswith(p)), "")
            metric = name.removeprefix(prefix)
            if metric == f"{task}_loss":
                joint[name] = value
            elif metric != "loss":
                joint[f"{prefix}{task}_{metric}"] = value
    return joint


def _weights(model: Any) -> dict[str, float]:
    given = as_numbers(model.task_losses.weights)
    return {
        task: 1.0 if given[task] is None else float(given[task])
        for task in model.tasks
    }
