"""One step of every cell of a comparison, to see whether it can be done."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from typing import NamedTuple

from keras_mtl.comparison.comparison_folder import ComparisonFolder
from keras_mtl.comparison.comparison_work import ComparisonWork
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.supervisor import supervise
from keras_mtl.comparison.work import AfterEpoch


class CellStep(NamedTuple):
    """One step with a strategy on a backend."""

    backend: str
    strategy: str
    seed: int | None = None

    @property
    def title(self) -> str:
        """What it is called on the screen."""
        return f"{self.backend}, {self.strategy}, one step"


class UntouchedFolder(ComparisonFolder):
    """A folder of which nothing is changed, be it there or not."""

    def __enter__(self) -> "UntouchedFolder":
        return self

    def file_of(self, job: Any) -> Path:
        return self.path / job.title

    def unfinished(self, jobs: Iterable[Any]) -> list[Any]:
        return list(jobs)

    def prepare(self, fixed: dict[str, Any]) -> None:
        pass

    def identify(self, backend: str, identity: dict[str, Any]) -> None:
        self.check_identity(backend, identity)

    def write(self, path: Path, content: bytes | str) -> None:
        pass


class DryRun(ComparisonWork):
    """A step of each cell, in workers as all of it would be.

    Args:
        settings: The settings of the comparison.
    """

    folder: UntouchedFolder

    def __init__(self, settings: Settings):
        super().__init__(dataclasses.replace(settings, epochs=1))
        self.folder = UntouchedFolder(settings.output)

    def keep_compiled(self) -> None:
        """Keeps nothing: that would be written."""

    def job(self, *fields: Any) -> Any:
        return CellStep(*fields)

    def jobs(self) -> list[Any]:
        return [
            CellStep(backend, strategy)
            for backend in self.settings.backends
            for strategy in self.settings.strategies
        ]

    def reported_jobs(self) -> list[Any]:
        return self.jobs()

    def do(self, job: Any, after_epoch: AfterEpoch) -> str:
        run = Job(job.backend, job.strategy, 0)
        data, size = self._data_for(run), self.settings.batch_size
        one_batch = dataclasses.replace(
            data,
            train=data.train.first(size),
            test=data.test.first(size),
            validation=None,
            # They may write.
            callbacks=None,
        )
        self._train(run, after_epoch, one_batch, self._first_setting(run))
        return ""


def make_steps(settings: Settings) -> bool:
    """Makes a step of each cell; returns whether all could be made."""
    return supervise(DryRun(settings), 1).is_complete()
