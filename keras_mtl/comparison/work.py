"""What a command has workers do: its jobs, and how each is done."""

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Protocol

from keras_mtl.comparison.results_folder import ResultsFolder

#: Called after each epoch with its number, from 1 on, and its measurements.
AfterEpoch = Callable[[int, dict[str, float | None]], None]


class Job(Protocol):
    """What a worker does at a time: a named tuple of what JSON knows."""

    @property
    def backend(self) -> str:
        """Backend of the worker."""

    @property
    def seed(self) -> int | None:
        """Seed of a run, `None` for what is not a run."""

    @property
    def title(self) -> str:
        """What the job is called on the screen."""


class Work(ABC):
    """The jobs of a command.

    The parent process asks for the jobs; each worker makes the same object
    once more, from `arguments()`, and does those it is given.

    Attributes:
        folder: Where what the jobs give is kept.
        backends: Keras backends; each has a worker process.
        workers: Number of worker processes at a time.
    """

    folder: ResultsFolder
    backends: Sequence[str]
    workers: int = 1

    @classmethod
    @abstractmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> "Work":
        """Returns the same work in a worker."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Returns what `from_arguments` needs, as JSON has it."""

    @abstractmethod
    def fixed(self) -> dict[str, Any]:
        """Returns what must be the same for all results of the folder."""

    @abstractmethod
    def jobs(self) -> Sequence[Any]:
        """Returns the jobs in their order, also those that are done.

        Jobs that need what others give are there as soon as they can be done.
        """

    def reported_jobs(self) -> Sequence[Any]:
        """Returns the jobs that are counted on the screen."""
        return self.jobs()

    @abstractmethod
    def job(self, *fields: Any) -> Any:
        """Returns the job of these fields."""

    def prepare(self) -> dict[str, Any]:
        """Finds mistakes before anything is written; called in a worker.

        Returns:
            What tells this work from another, for `ResultsFolder.identify`.
        """
        return {}

    @abstractmethod
    def do(self, job: Any, after_epoch: AfterEpoch) -> bytes | str:
        """Does a job in a worker; returns the content of its file."""


def import_path_of(work: Work) -> str:
    """Returns `module:class` of some work, by which a worker imports it."""
    return f"{type(work).__module__}:{type(work).__qualname__}"
