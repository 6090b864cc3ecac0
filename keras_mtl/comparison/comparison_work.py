"""What a comparison has workers do."""

import dataclasses
import hashlib
import platform
from typing import Any

from keras_mtl.backend import keep_compiled
from keras_mtl.comparison import agreement
from keras_mtl.comparison.comparison_folder import ComparisonFolder
from keras_mtl.comparison.data import Data
from keras_mtl.comparison.identity import check_same_data
from keras_mtl.comparison.identity import data_identity
from keras_mtl.comparison.identity import model_identity
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.jobs import all_agreements
from keras_mtl.comparison.jobs import all_runs
from keras_mtl.comparison.jobs import all_starts
from keras_mtl.comparison.objective import read_objective
from keras_mtl.comparison.problem import SINGLE_TASK
from keras_mtl.comparison.problem import load_data
from keras_mtl.comparison.pruning import Pruner
from keras_mtl.comparison.pruning import curve_of
from keras_mtl.comparison.pruning import value_of
from keras_mtl.comparison.random_state import fresh_start
from keras_mtl.comparison.records import SCHEMA
from keras_mtl.comparison.results_folder import json_text
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.settings import fixed_settings
from keras_mtl.comparison.settings import versions_of
from keras_mtl.comparison.single_task import check_single_task
from keras_mtl.comparison.single_task import train_single_tasks
from keras_mtl.comparison.summary import measures_of
from keras_mtl.comparison.training_run import Ends
from keras_mtl.comparison.training_run import Probe
from keras_mtl.comparison.training_run import check_objective
from keras_mtl.comparison.training_run import train
from keras_mtl.comparison.tuner import Range
from keras_mtl.comparison.tuner import Tried
from keras_mtl.comparison.tuner import best_of
from keras_mtl.comparison.tuner import suggest
from keras_mtl.comparison.tuner import tried_of
from keras_mtl.comparison.tuner import write_storage
from keras_mtl.comparison.tuning import SPLIT_SEED
from keras_mtl.comparison.tuning import setting_of
from keras_mtl.comparison.tuning import space_of
from keras_mtl.comparison.tuning import split
from keras_mtl.comparison.tuning import tuned_names
from keras_mtl.comparison.work import AfterEpoch
from keras_mtl.comparison.work import Work
from keras_mtl.output_folder import check_own_file


class ComparisonWork(Work):
    """The runs of a comparison, and the steps by which backends are compared.

    Args:
        settings: What is compared, and how.
    """

    folder: ComparisonFolder
    #: The class of the settings.
    settings_class: type[Settings] = Settings
    #: What else is measured after an epoch, in place of `TaskMonitor`.
    probe: Probe | None = None

    def __init__(self, settings: Settings):
        self.settings = settings
        self.folder = ComparisonFolder(settings.output)
        self.backends = settings.backends
        self.workers = settings.jobs

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> "ComparisonWork":
        return cls(cls.settings_class(**tuples(arguments)))

    def arguments(self) -> dict[str, Any]:
        return dataclasses.asdict(self.settings)

    def fixed(self) -> dict[str, Any]:
        return fixed_settings(self.settings)

    def job(self, *fields: Any) -> Job:
        return Job(*fields)

    def jobs(self) -> list[Job]:
        jobs = self._untuned_jobs()
        if not self.settings.tune:
            return jobs
        trials, ready = [], set()
        for backend in self.backends:
            for strategy in self.settings.strategies:
                of_one = self._trials(backend, strategy)
                left = self.folder.unfinished(of_one)
                # Each depends on those before it.
                trials += left[:1]
                if not left:
                    ready.add((backend, strategy))
        runs = [
            job
            for job in jobs
            if job.seed is not None and (job.backend, job.strategy) in ready
        ]
        return [*(it for it in jobs if it.seed is None), *trials, *runs]

    def _untuned_jobs(self) -> list[Job]:
        starts = self.folder.unfinished(all_starts(self.settings))
        if starts and self.folder.unfinished(all_agreements(self.settings)):
            # Steps are taken when there is something to start from.
            return [*starts, *all_runs(self.settings)]
        return [*all_agreements(self.settings), *all_runs(self.settings)]

    def reported_jobs(self) -> list[Job]:
        trials = [
            job
            for backend in self.backends
            for strategy in self.settings.strategies
            for job in self._trials(backend, strategy)
        ]
        agreements = all_agreements(self.settings)
        return [*agreements, *trials, *all_runs(self.settings)]

    def _trials(self, backend: str, strategy: str) -> list[Job]:
        if not tuned_names(self.settings, strategy):
            return []
        return self.folder.trials_of(self.settings, backend, strategy)

    def _tried(self, trials: list[dict[str, Any]]) -> list[Tried]:
        objective = read_objective(self.settings.objective)
        return [tried_of(trial, objective) for trial in trials]

    def write_trials(self) -> None:
        """Adds the trials to Optuna's file, for its own tools."""
        for backend in self.backends if self.settings.tune else ():
            for strategy in self.settings.strategies:
                trials = self.folder.finished_trials(
                    self.settings, backend, strategy
                )
                if trials:
                    check_own_file(self.folder.storage)
                    write_storage(
                        self.folder.storage,
                        f"{backend}, {strategy}",
                        {
                            name: Range(*ends)
                            for name, ends in trials[0]["space"].items()
                        },
                        self._tried(trials),
                    )

    def load_data(self) -> Data:
        """Returns the examples."""
        return load_data(self.settings)

    def keep_compiled(self) -> None:
        """Has programs serve the workers to come, on this machine."""
        # What is compiled for one processor may not run on another.
        name = f"{platform.node()} {platform.machine()}".encode()
        folder = self.folder.compiled / hashlib.sha256(name).hexdigest()[:16]
        keep_compiled(str(folder))

    def prepare(self) -> dict[str, Any]:
        if self.folder.settings_file.exists():
            self.keep_compiled()
        self.data = self.load_data()
        model = agreement.built_model(self.settings, self.data)
        self._optimizer = model.optimizer
        self.identity = {**model_identity(model), **data_identity(self.data)}
        check_objective(self.settings, model, self.data)
        self.data.check_callbacks()
        if self.settings.tune:
            split(self.data, self.settings.validation)
        check_single_task(self.settings, model, self.data)
        return self.identity

    def _data_for(self, job: Job) -> Data:
        """The examples, of a stream new ones: its order starts with a run."""
        if not self.data.is_stream:
            return self.data
        fresh_start(job.seed or 0)
        data = self.load_data()
        check_same_data(data, self.data, job.title)
        return data

    def do(self, job: Job, after_epoch: AfterEpoch) -> bytes | str:
        # Now there is a folder.
        self.keep_compiled()
        if job.trial is not None:
            return self._do_trial(job, after_epoch)
        data = self._data_for(job)
        if not job.strategy:
            return agreement.start_weights(self.settings, data)
        if job.seed is None:
            return agreement.take_steps(
                self.settings, data, job.strategy, self.folder.start
            )
        setting = self._best(job.backend, job.strategy)
        return json_text(self._train(job, after_epoch, data, setting))

    def _train(
        self,
        job: Job,
        after_epoch: AfterEpoch,
        data: Data,
        setting: dict[str, Any],
        ends: Ends | None = None,
    ) -> dict[str, Any]:
        counts = {"num_train": data.train.count, "num_test": data.test.count}
        identity, seed = {**self.identity, **counts}, job.seed or 0
        if job.strategy == SINGLE_TASK:
            record = train_single_tasks(
                self.settings, data, seed, after_epoch, identity, setting
            )
        else:
            record = train(
                self.settings,
                data,
                job.strategy,
                seed,
                after_epoch,
                identity,
                self.probe,
                setting,
                ends=ends,
            )
        return {
            "schema": SCHEMA,
            "backend": job.backend,
            "versions": versions_of(job.backend),
            **record,
        }

    def _do_trial(self, job: Job, after_epoch: AfterEpoch) -> str:
        tasks = len(self.identity["tasks"])
        space = self._space(job)
        trials = self.folder.finished_trials(
            self.settings, job.backend, job.strategy
        )
        drawn = suggest(space, self._tried(trials), SPLIT_SEED)
        setting = setting_of(drawn, tasks)
        objective, value = read_objective(self.settings.objective), None
        ends, names, is_pruned = None, self.identity["tasks"], False
        if self.settings.pruner is not None:
            curves = [curve_of(trial, objective) for trial in trials]
            pruner = Pruner(self.settings.pruner, self.settings.epochs, curves)

            def ends(logs: dict[str, float | None]) -> bool:
                nonlocal is_pruned
                is_pruned = pruner.ends(value_of(names, logs, objective))
                return is_pruned

        parts = split(self._data_for(job), self.settings.validation)
        record = self._train(job, after_epoch, parts, setting, ends)
        if record["status"] == "finished":
            value = measures_of(record).get(objective.measure)
        return json_text(
            {
                **record,
                "trial": job.trial,
                "space": space,
                "drawn": drawn,
                "setting": setting,
                "value": value,
                # What the user's callbacks have stopped is a result.
                "pruned": is_pruned
                and record["status"] == "finished"
                and len(record["history"]) < self.settings.epochs,
            }
        )

    def _space(self, job: Job) -> dict[str, Range]:
        tasks = len(self.identity["tasks"])
        return space_of(self.settings, job.strategy, tasks, self._optimizer)

    def _first_setting(self, job: Job) -> dict[str, Any]:
        """The setting that would be tried first, if there are any."""
        if not tuned_names(self.settings, job.strategy):
            return {}
        drawn = suggest(self._space(job), [], SPLIT_SEED)
        return setting_of(drawn, len(self.identity["tasks"]))

    def _best(self, backend: str, strategy: str) -> dict[str, Any]:
        """The best setting of all trials of a strategy, if there are any."""
        if not self._trials(backend, strategy):
            return {}
        trials = self.folder.finished_trials(self.settings, backend, strategy)
        return trials[best_of(self._tried(trials))]["setting"]


def tuples(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns settings with tuples, of which JSON knows nothing, for lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in settings.items()
    }
