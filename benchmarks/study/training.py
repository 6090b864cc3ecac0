"""Trains one method once, and measures what came of it."""

from typing import Any

import keras
import numpy as np

from benchmarks.study import measures
from benchmarks.study.experiment import Method
from benchmarks.study.experiment import Settings
from benchmarks.study.problem import Problem
from keras_mtl import MultiTaskModel
from keras_mtl.comparison.random_state import fresh_start
from keras_mtl.comparison.training_run import EpochTimer
from keras_mtl.comparison.training_run import count_conflicts
from keras_mtl.comparison.training_run import median_epoch

SPLITS = ("train", "validation", "test")
DIGITS = 5


def train(
    problem: Problem,
    method: Method,
    rho: float | None,
    seed: int,
    settings: Settings,
    epochs: int,
) -> dict[str, Any]:
    """Returns the record of a run, after its last epoch."""
    tasks = list(problem.losses)
    groups = [[task] for task in tasks] if method.is_single else [tasks]
    parts = [
        _train(problem, method, rho, seed, settings, epochs, group)
        for group in groups
    ]
    record: dict[str, Any] = {
        "method": method.name,
        "rho": rho,
        "seed": seed,
        "epochs": epochs,
    }
    for split in [split for split in SPLITS if split in parts[0]]:
        record[split] = {
            task: numbers
            for part in parts
            for task, numbers in part[split].items()
        }
    for name in ("cpu_per_epoch", "wall_per_epoch"):
        record[name] = sum(part[name] for part in parts)
    record["sam_gap"] = {
        radius: float(np.mean([part["sam_gap"][radius] for part in parts]))
        for radius in parts[0]["sam_gap"]
    }
    if "conflict_ratio" in parts[0]:
        record["conflict_ratio"] = parts[0]["conflict_ratio"]
    return _rounded(record)


def new_model(
    problem: Problem, strategy: Any, seed: int, settings: Settings, tasks: Any
) -> MultiTaskModel:
    """Returns a compiled model; a seed's first weights are always the same."""
    fresh_start(seed)
    model = problem.build()
    model.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss={
            task: loss if task in tasks else None
            for task, loss in problem.losses.items()
        },
        strategy=strategy,
    )
    # Strategies may have drawn numbers: the order of the batches is a seed's.
    keras.utils.set_random_seed(seed)
    return model


def _train(
    problem: Problem,
    method: Method,
    rho: float | None,
    seed: int,
    settings: Settings,
    epochs: int,
    tasks: list[str],
) -> dict[str, Any]:
    """Trains one model on some of the tasks."""
    model = new_model(problem, method.strategy(rho), seed, settings, tasks)
    probe = None
    if settings.probed and len(tasks) > 1:
        probe = ConflictProbe(model, problem, settings, seed)
    timer = EpochTimer(lambda logs: None if probe is None else probe())
    model.fit(
        **problem.batches(settings.batch_size, seed),
        epochs=epochs,
        verbose=0,
        callbacks=[timer],
    )
    models = {task: model.task_model(task) for task in tasks}
    result: dict[str, Any] = {
        split: problem.measure(models, getattr(problem, split))
        for split in SPLITS
        if getattr(problem, split) is not None
    }
    result["cpu_per_epoch"] = median_epoch(timer.cpu)
    result["wall_per_epoch"] = median_epoch(timer.wall)
    result["sam_gap"] = measures.sam_gaps(model, models, problem, settings.rhos)
    if probe is not None:
        result["conflict_ratio"] = probe.share()
    return result


class ConflictProbe:
    """Counts conflicts on training batches whenever it is called.

    Args:
        model: A model with two tasks.
        problem: Its problem.
        settings: Size and number of the batches.
        seed: Seed of the batches.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        problem: Problem,
        settings: Settings,
        seed: int,
    ):
        self.model = model
        self.data = problem.train
        self.shape = settings.probed, settings.batch_size
        self.generator = np.random.default_rng(seed)
        self.conflicts = 0
        self.batches = 0

    def __call__(self) -> None:
        x, y = self.data
        rows = self.generator.integers(0, len(x), self.shape)
        self.conflicts += count_conflicts(self.model, x, y, rows)
        self.batches += len(rows)

    def share(self) -> float:
        """Returns the share of batches with a conflict, of all calls."""
        return self.conflicts / self.batches


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value
