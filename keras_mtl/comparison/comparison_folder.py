"""The folder of a comparison, and results.json, which is made of it."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_mtl.comparison.agreement import compare_weights
from keras_mtl.comparison.answer import baseline_of
from keras_mtl.comparison.answer import differences
from keras_mtl.comparison.budget import epochs_of
from keras_mtl.comparison.budget import read_budget
from keras_mtl.comparison.frontier import frontier
from keras_mtl.comparison.identity import OF_ALL_BACKENDS
from keras_mtl.comparison.identity import OF_ONE_BACKEND
from keras_mtl.comparison.identity import check_identity
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.jobs import all_agreements
from keras_mtl.comparison.jobs import all_runs
from keras_mtl.comparison.jobs import trial_job
from keras_mtl.comparison.objective import read_objective
from keras_mtl.comparison.records import SCHEMA
from keras_mtl.comparison.records import check_record
from keras_mtl.comparison.records import check_trial
from keras_mtl.comparison.results_folder import ResultsFolder
from keras_mtl.comparison.results_folder import read_json
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.summary import summarize
from keras_mtl.comparison.tuner import best_of
from keras_mtl.comparison.tuner import tried_of
from keras_mtl.output_folder import check_own_file
from keras_mtl.output_folder import check_own_subfolder

REPORTS = (
    "results.json",
    "summary.csv",
    "report.md",
    "report.tex",
    "report.html",
)

#: Beginning of the names, in the settings, of what backends have been given.
IDENTITY = "identity/"


class ComparisonFolder(ResultsFolder):
    """The folder of a comparison, with its runs and weights.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | Path):
        super().__init__(path)
        self.runs = self.path / "runs"
        self.weights = self.path / "weights"
        self.trials = self.path / "trials"
        self.compiled = self.path / "compiled"
        self.storage = self.path / "tuning.db"
        self.start = self.weights / "start.npz"

    def check_place(self) -> None:
        super().check_place()
        check_own_subfolder(self.compiled)
        for path in self.compiled.rglob("*"):
            if path.is_dir():
                check_own_subfolder(path)
            else:
                check_own_file(path)

    def subfolders(self) -> tuple[Path, ...]:
        return self.runs, self.weights, self.trials

    def others(self) -> tuple[Path, ...]:
        return self.start, self.storage, *(self.path / name for name in REPORTS)

    def file_of(self, job: Job) -> Path:
        if not job.strategy:
            return self.start
        if job.trial is not None:
            return self.trials / job.file_name
        folder = self.weights if job.seed is None else self.runs
        return folder / job.file_name

    def check_runs(self, jobs: Iterable[Job]) -> None:
        """Raises `ValueError` if runs that are there are not of one problem.

        Args:
            jobs: What will be compared, be it there or not.
        """
        known = self.known_settings()
        for job in jobs:
            path = self.file_of(job)
            self.check_known(path)
            if path.exists() and job.seed is not None and job.trial is None:
                record = self.read_run(job)
                self._check_identity(known, job.backend, record, str(path))
                known[IDENTITY + job.backend] = record

    def identify(self, backend: str, identity: dict[str, Any]) -> None:
        known = self.check_identity(backend, identity)
        name = IDENTITY + backend
        if known.get(name) != identity:
            self.write_settings({**known, name: identity})

    def check_identity(
        self, backend: str, identity: dict[str, Any]
    ) -> dict[str, Any]:
        """Returns the settings that are known, to which an identity fits."""
        known = self.known_settings()
        self._check_identity(known, backend, identity, "this command")
        return known

    def _check_identity(
        self,
        known: dict[str, Any],
        backend: str,
        identity: dict[str, Any],
        where: str,
    ) -> None:
        for name, other in known.items():
            if not name.startswith(IDENTITY):
                continue
            if not isinstance(other, dict):
                raise ValueError(
                    f"{name!r} in {self.settings_file} must be an object, not "
                    f"{type(other).__name__}. Name another folder with "
                    f"{self.option}."
                )
            parts = [*OF_ALL_BACKENDS]
            if name == IDENTITY + backend:
                parts += OF_ONE_BACKEND
            check_identity({it: identity[it] for it in parts}, other, where)

    def read_run(self, job: Job) -> dict[str, Any]:
        """Returns the record of a finished run."""
        path = self.file_of(job)
        record = read_json(path)
        check_record(path, record)
        names = ("schema", "backend", "strategy", "seed", "trial")
        if [record.get(name) for name in names] != [SCHEMA, *job]:
            raise ValueError(
                f"{path} is not the record of this run. Remove it, and the "
                "run is done again."
            )
        return record

    def finished_trials(
        self, settings: Settings, backend: str, strategy: str
    ) -> list[dict[str, Any]]:
        """Returns the records of the trials up to the first that is not there.

        Args:
            settings: The settings.
            backend: Backend of the trials.
            strategy: What was tuned.
        """
        return self._gone_through(settings, backend, strategy)[0]

    def trials_of(
        self, settings: Settings, backend: str, strategy: str
    ) -> list[Job]:
        """Returns the trials that are there, and as many as are expected.

        Args:
            settings: The settings.
            backend: Backend of the trials.
            strategy: What is tuned.
        """
        done, left = self._gone_through(settings, backend, strategy)
        return [
            trial_job(backend, strategy, trial)
            for trial in range(len(done) + left)
        ]

    def _gone_through(
        self, settings: Settings, backend: str, strategy: str
    ) -> tuple[list[dict[str, Any]], int]:
        """The records of trials, and how many more there will be."""
        budget = settings.budget and read_budget(settings.budget)
        left = float(budget.amount if budget else settings.trials)
        found: list[dict[str, Any]] = []
        while left > 0.0:
            job = trial_job(backend, strategy, len(found))
            if not self.file_of(job).exists():
                break
            record = self.read_run(job)
            check_trial(self.file_of(job), record)
            found.append(record)
            left -= budget.spent(record) if budget else 1.0
        if budget:
            return found, budget.trials_left(left, settings.epochs)
        return found, int(left)

    def _tuning(self, settings: Settings) -> dict[str, list[dict[str, Any]]]:
        """What has been tried for each strategy, and what weights trade."""
        objective = read_objective(settings.objective)
        tuning, frontiers = [], []
        for backend in settings.backends if settings.tune else ():
            for strategy in settings.strategies:
                trials = self.finished_trials(settings, backend, strategy)
                if not trials:
                    continue
                best = best_of([tried_of(it, objective) for it in trials])
                tried = [
                    {
                        "setting": trial["setting"],
                        "value": None if trial["pruned"] else trial["value"],
                        "pruned": trial["pruned"],
                        "epochs": epochs_of(trial),
                    }
                    for trial in trials
                ]
                of_one = {"backend": backend, "strategy": strategy}
                tuning.append({**of_one, "best": best, "trials": tried})
                found = frontier(trials, objective, best)
                if found is not None:
                    frontiers.append({**of_one, **found})
        return {"tuning": tuning, "frontier": frontiers}

    def collect(
        self, settings: Settings, failed: dict[Job, str]
    ) -> dict[str, Any]:
        """Returns what results.json says, from the files of the jobs.

        Args:
            settings: The settings; what the folder has beside them is left
                out.
            failed: Why jobs have failed.
        """
        jobs = all_runs(settings)
        trials = [job for job in failed if job.trial is not None]
        missing = self.unfinished([*all_agreements(settings), *trials, *jobs])
        runs = [self.read_run(job) for job in jobs if job not in missing]
        # Each backend's own, once.
        versions = {run["backend"]: run["versions"] for run in runs}
        for run in runs:
            del run["schema"], run["versions"]
        agreements: dict[str, dict[str, Any]] = {}
        for job in all_agreements(settings):
            path = self.file_of(job)
            if path.exists():
                agreements.setdefault(job.strategy, {})[job.backend] = path
        described = dataclasses.asdict(settings)
        # They change no result, and are of no use elsewhere.
        for name in ("output", "jobs", "data_dir"):
            del described[name]
        described["baseline"] = baseline_of(described)
        return {
            "schema": SCHEMA,
            "settings": described,
            "versions": versions,
            "summary": summarize(runs),
            "differences": differences({"settings": described, "runs": runs}),
            "agreement": compare_weights(self.start, agreements),
            **self._tuning(settings),
            "runs": runs,
            "missing": [
                {
                    "backend": job.backend,
                    "strategy": job.strategy,
                    "seed": job.seed,
                    "trial": job.trial,
                    "message": failed.get(job),
                }
                for job in missing
            ],
        }
