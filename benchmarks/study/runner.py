"""Does the runs of an experiment, those that are not done yet."""

import dataclasses
import statistics
from collections.abc import Callable
from collections.abc import Collection
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_mtl
from benchmarks.study.experiment import Experiment
from benchmarks.study.experiment import Method
from benchmarks.study.problem import Problem
from benchmarks.study.store import Store
from benchmarks.study.training import train


class LimitReached(Exception):
    """As many runs were done as were asked for."""


class Runner:
    """Does the runs of an experiment on one data set.

    Seed by seed, so that what is there at any time can be compared. With the
    first seed, methods with a radius are trained with all radii, and later
    with the one that was best on the validation samples.

    Args:
        experiment: What to do.
        dataset: One of its data sets.
        runs: Folder of the records of runs.
        data_dir: Folder of the data sets' files.
        seeds: Number of seeds to do. Defaults to `None`, all.
        limit: Largest number of runs to do. Defaults to `None`, all.
        methods: Names of methods, to do only those. Defaults to `None`, all.
    """

    def __init__(
        self,
        experiment: Experiment,
        dataset: str,
        runs: Path,
        data_dir: str | None = None,
        seeds: int | None = None,
        limit: int | None = None,
        methods: Collection[str] | None = None,
    ):
        self.experiment = experiment
        self.dataset = dataset
        self.data_dir = data_dir
        of_all = experiment.settings.seeds
        self.seeds = of_all if seeds is None else min(seeds, of_all)
        self.limit = limit
        self.methods = [
            method
            for method in experiment.methods
            if methods is None or method.name in methods
        ]
        self.store = Store(
            runs / experiment.name / dataset,
            {
                "experiment": experiment.name,
                "dataset": dataset,
                **dataclasses.asdict(experiment.settings),
                "backend": keras.backend.backend(),
                "keras": keras.__version__,
                "keras_mtl": keras_mtl.__version__,
            },
        )

    def run(self) -> bool:
        """Does what is left; returns whether nothing is left then."""
        try:
            for seed in range(self.seeds):
                self._run_seed(seed)
        except LimitReached:
            return False
        return True

    def _run_seed(self, seed: int) -> None:
        settings = self.experiment.settings
        # Data are loaded only if there is something to do.
        problem = Lazy(
            lambda: self.experiment.make_problem(
                self.dataset, settings, seed, self.data_dir
            )
        )
        late = [method for method in self.methods if method.epochs_like]
        for method in self.methods:
            if method in late:
                continue
            for rho in self._radii(method, seed):
                self._do(problem, method, rho, seed, settings.epochs)
        for method in late:
            # Other methods' times decide for how long these are trained.
            self._do(problem, method, None, seed, self._epochs(method))

    def _radii(self, method: Method, seed: int) -> list[float | None]:
        if not method.flat:
            return [None]
        rhos = self.experiment.settings.rhos
        if seed == 0:
            return list(rhos)
        records = [self._record(method.name, rho, 0) for rho in rhos]
        return [chosen_rho(records)]

    def _epochs(self, method: Method) -> int:
        costs = []
        for name in method.epochs_like:
            records = [
                self._record(name, rho, 0)
                for rho in self.experiment.settings.rhos
            ]
            costs += [record["cpu_per_epoch"] for record in records]
        own = self._record(str(method.base), None, 0)["cpu_per_epoch"]
        share = statistics.median(costs) / own
        return round(self.experiment.settings.epochs * share)

    def _record(self, name: str, rho: float | None, seed: int) -> dict:
        record = self.store.load(name, rho, seed)
        if record is None:
            raise ValueError(
                f"The run of {name!r} with rho={rho} and seed={seed} is needed "
                f"first. Add {name!r} to `--methods`, or leave them out."
            )
        return record

    def _do(
        self,
        problem: "Lazy",
        method: Method,
        rho: float | None,
        seed: int,
        epochs: int,
    ) -> None:
        if self.store.load(method.name, rho, seed) is not None:
            return
        if self.limit is not None:
            if self.limit == 0:
                raise LimitReached
            self.limit -= 1
        record = train(
            problem(), method, rho, seed, self.experiment.settings, epochs
        )
        self.store.save(record)
        radius = "" if rho is None else f", rho {rho:g}"
        print(
            f"{self.experiment.name} {self.dataset}: {method.name}{radius}, "
            f"seed {seed}, {epochs} epochs of {record['wall_per_epoch']:.2f} s",
            flush=True,
        )


class Lazy:
    """Makes a problem when it is asked for, once."""

    def __init__(self, make: Callable[[], Problem]):
        self.make = make
        self.problem: Problem | None = None

    def __call__(self) -> Problem:
        if self.problem is None:
            self.problem = self.make()
        return self.problem


def mean_accuracy(record: dict[str, Any], split: str) -> float:
    """Returns the mean of the tasks' accuracies."""
    return float(np.mean([task["accuracy"] for task in record[split].values()]))


def chosen_rho(records: list[dict[str, Any]]) -> float:
    """Returns the radius with the best mean accuracy on validation samples.

    Of equal ones the smallest.
    """
    ordered = sorted(records, key=lambda record: record["rho"])
    return max(ordered, key=lambda it: mean_accuracy(it, "validation"))["rho"]
