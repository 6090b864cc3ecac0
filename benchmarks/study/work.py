"""The runs of an experiment, those that are not done yet."""

import contextlib
import dataclasses
import json
import statistics
from collections.abc import Collection
from pathlib import Path
from typing import Any
from typing import NamedTuple

import keras

import keras_mtl
from benchmarks.study.experiment import Experiment
from benchmarks.study.experiment import Method
from benchmarks.study.experiment import Settings
from benchmarks.study.experiments import EXPERIMENTS
from benchmarks.study.measures import chosen_rho
from benchmarks.study.problem import Problem
from benchmarks.study.training import train
from keras_mtl.comparison.comparison_work import tuples
from keras_mtl.comparison.progress import Progress
from keras_mtl.comparison.results_folder import ResultsFolder
from keras_mtl.comparison.results_folder import read_json
from keras_mtl.comparison.supervisor import Supervisor
from keras_mtl.comparison.work import AfterEpoch
from keras_mtl.comparison.work import Work
from keras_mtl.terminal import printable


class Run(NamedTuple):
    """One method, trained once.

    Attributes:
        backend: The backend.
        method: Name of the method.
        rho: Its radius, `None` for methods that have none.
        seed: Seed of data, weights and batches.
        epochs: Passes through the training data.
    """

    backend: str
    method: str
    rho: float | None
    seed: int
    epochs: int

    @property
    def title(self) -> str:
        """What the run is called on the screen."""
        radius = "" if self.rho is None else f", rho {self.rho:g}"
        return f"{self.method}{radius}, seed {self.seed}"


class StudyFolder(ResultsFolder):
    """The records of an experiment on a data set, a file for each run."""

    option = "--runs"
    mark = "experiment"

    def file_of(self, job: Run) -> Path:
        radius = "" if job.rho is None else f"_rho{job.rho:g}"
        return self.path / f"{job.method}{radius}_seed{job.seed}.json"


class NotYetError(Exception):
    """A run that others depend on is still to be done."""


class StudyWork(Work):
    """The runs of an experiment on one data set.

    Seed by seed, so that what is there at any time can be compared. With the
    first seed, methods with a radius are trained with all radii, and later
    with the one that was best on the validation samples.

    Args:
        experiment: What to do.
        dataset: One of its data sets.
        runs: Folder of the records of runs.
        data_dir: Folder of the data sets' files.
        seeds: Number of seeds to do. Defaults to `None`, all.
        methods: Names of methods, to do only those. Defaults to `None`, all.
    """

    def __init__(
        self,
        experiment: Experiment,
        dataset: str,
        runs: Path,
        data_dir: str | None = None,
        seeds: int | None = None,
        methods: Collection[str] | None = None,
    ):
        self.experiment = experiment
        self.dataset = dataset
        self.runs = runs
        self.data_dir = data_dir
        of_all = experiment.settings.seeds
        self.seeds = of_all if seeds is None else min(seeds, of_all)
        self.methods = [
            method
            for method in experiment.methods
            if methods is None or method.name in methods
        ]
        # Other methods' times decide for how long these are trained.
        self.methods.sort(key=lambda method: bool(method.epochs_like))
        self.backends = (keras.backend.backend(),)
        self.folder = StudyFolder(runs / experiment.name / dataset)
        # Data are made when there is something to do, once for each seed.
        self._problem: tuple[int, Problem] | None = None

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> "StudyWork":
        experiment = dataclasses.replace(
            EXPERIMENTS[arguments["experiment"]],
            settings=Settings(**tuples(arguments["settings"])),
        )
        return cls(
            experiment,
            arguments["dataset"],
            Path(arguments["runs"]),
            arguments["data_dir"],
        )

    def arguments(self) -> dict[str, Any]:
        return {
            "experiment": self.experiment.name,
            "settings": dataclasses.asdict(self.experiment.settings),
            "dataset": self.dataset,
            "runs": str(self.runs),
            "data_dir": self.data_dir,
        }

    def fixed(self) -> dict[str, Any]:
        fixed = {
            "experiment": self.experiment.name,
            "dataset": self.dataset,
            **dataclasses.asdict(self.experiment.settings),
            "backend": self.backends[0],
            "keras": keras.__version__,
            "keras_mtl": keras_mtl.__version__,
        }
        # As JSON has them: lists, not tuples.
        return json.loads(json.dumps(fixed))

    def job(self, *fields: Any) -> Run:
        return Run(*fields)

    def jobs(self) -> list[Run]:
        found: list[Run] = []
        with contextlib.suppress(NotYetError):
            for seed in range(self.seeds):
                for method in self.methods:
                    for rho in self._radii(method, seed, found):
                        epochs = self._epochs(method, found)
                        run = (method.name, rho, seed, epochs)
                        found.append(Run(self.backends[0], *run))
        return found

    def do(self, job: Run, after_epoch: AfterEpoch) -> str:
        settings = self.experiment.settings
        if self._problem is None or self._problem[0] != job.seed:
            problem = self.experiment.make_problem(
                self.dataset, settings, job.seed, self.data_dir
            )
            self._problem = job.seed, problem
        method = self.experiment.method(job.method)
        _, problem = self._problem
        record = train(problem, method, job.rho, job.seed, settings, job.epochs)
        return json.dumps(record) + "\n"

    def _radii(
        self, method: Method, seed: int, found: list[Run]
    ) -> list[float | None]:
        if not method.flat:
            return [None]
        rhos = self.experiment.settings.rhos
        if seed == 0:
            return list(rhos)
        return [
            chosen_rho([self._first(method.name, it, found) for it in rhos])
        ]

    def _epochs(self, method: Method, found: list[Run]) -> int:
        epochs = self.experiment.settings.epochs
        if not method.epochs_like:
            return epochs
        costs = [
            self._first(name, rho, found)["cpu_per_epoch"]
            for name in method.epochs_like
            for rho in self.experiment.settings.rhos
        ]
        own = self._first(str(method.base), None, found)["cpu_per_epoch"]
        return round(epochs * statistics.median(costs) / own)

    def _first(
        self, name: str, rho: float | None, found: list[Run]
    ) -> dict[str, Any]:
        """Returns the record of a run with the first seed."""
        path = self.folder.file_of(Run("", name, rho, 0, 0))
        if path.exists():
            return read_json(path)
        if any((it.method, it.rho, it.seed) == (name, rho, 0) for it in found):
            raise NotYetError
        raise ValueError(
            f"The run of {name!r} with rho={rho} and seed=0 is needed first. "
            f"Add {name!r} to `--methods`, or leave them out."
        )


class RunLines(Progress):
    """Writes a line for each run.

    Args:
        work: What is done.
    """

    def __init__(self, work: StudyWork):
        super().__init__([], work.experiment.settings.epochs)
        self.folder = work.folder
        self.title = f"{work.experiment.name} {work.dataset}"

    def end(self, job: Any) -> None:
        super().end(job)
        seconds = read_json(self.folder.file_of(job))["wall_per_epoch"]
        print(
            f"{self.title}: {job.title}, {job.epochs} epochs of "
            f"{seconds:.2f} s",
            flush=True,
        )

    def fail(self, backend: str, job: Any, message: str) -> None:
        super().fail(backend, job, message)
        title = backend if job is None else job.title
        print(printable(f"failed: {title}\n{message}"), flush=True)


def do_runs(work: StudyWork, limit: int | None = None) -> bool:
    """Does the runs that are left; returns whether none is left then.

    Args:
        work: What to do.
        limit: Largest number of runs to do. Defaults to `None`, all.

    Raises:
        RuntimeError: If a run has failed.
        ValueError: If the folder has runs with other settings.
    """
    work.folder.check_place()
    work.folder.check(work.fixed())
    with work.folder:
        supervisor = Supervisor(work, RunLines(work), limit)
        if not supervisor.run():
            raise RuntimeError("Some runs have failed; the others are kept.")
    return not work.folder.unfinished(work.jobs())
