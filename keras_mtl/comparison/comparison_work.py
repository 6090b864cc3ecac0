"""What a comparison has workers do."""

import dataclasses
from typing import Any

from keras_mtl.comparison import agreement
from keras_mtl.comparison.comparison_folder import ComparisonFolder
from keras_mtl.comparison.identity import data_identity
from keras_mtl.comparison.identity import model_identity
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.jobs import all_agreements
from keras_mtl.comparison.jobs import all_runs
from keras_mtl.comparison.jobs import all_starts
from keras_mtl.comparison.problem import Data
from keras_mtl.comparison.problem import load_data
from keras_mtl.comparison.records import SCHEMA
from keras_mtl.comparison.results_folder import json_text
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.settings import fixed_settings
from keras_mtl.comparison.settings import versions_of
from keras_mtl.comparison.training_run import Probe
from keras_mtl.comparison.training_run import check_objective
from keras_mtl.comparison.training_run import train
from keras_mtl.comparison.work import AfterEpoch
from keras_mtl.comparison.work import Work


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
        starts = self.folder.unfinished(all_starts(self.settings))
        if starts and self.folder.unfinished(all_agreements(self.settings)):
            # Steps are taken when there is something to start from.
            return [*starts, *all_runs(self.settings)]
        return self.reported_jobs()

    def reported_jobs(self) -> list[Job]:
        return [*all_agreements(self.settings), *all_runs(self.settings)]

    def load_data(self) -> Data:
        """Returns the examples."""
        return load_data(self.settings)

    def prepare(self) -> dict[str, Any]:
        self.data = self.load_data()
        model = agreement.built_model(self.settings, self.data)
        self.identity = {**model_identity(model), **data_identity(self.data)}
        check_objective(self.settings, model, self.data)
        return self.identity

    def do(self, job: Job, after_epoch: AfterEpoch) -> bytes | str:
        if not job.strategy:
            return agreement.start_weights(self.settings, self.data)
        if job.seed is None:
            return agreement.take_steps(
                self.settings, self.data, job.strategy, self.folder.start
            )
        record = train(
            self.settings,
            self.data,
            job.strategy,
            job.seed,
            after_epoch,
            self.identity,
            self.probe,
        )
        return json_text(
            {
                "schema": SCHEMA,
                "backend": job.backend,
                "versions": versions_of(job.backend),
                **record,
            }
        )


def tuples(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns settings with tuples, of which JSON knows nothing, for lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in settings.items()
    }
