"""The pieces into which a comparison is divided."""

import hashlib
import re
from typing import NamedTuple

from keras_mtl.comparison.problem import SINGLE_TASK
from keras_mtl.comparison.settings import Settings

#: Seed of all trials; those of the runs that are reported are smaller.
TRIAL_SEED = 1_000_000


class Job(NamedTuple):
    """What a worker does between two messages.

    Attributes:
        backend: The backend of the worker.
        strategy: Name or import path of the strategy; empty for the weights
            from which backends take steps.
        seed: Seed of the run, or `None` for the steps by which backends are
            compared with each other.
        trial: Number of a trial, whose setting is chosen by those before it;
            `None` for what is not a trial.
    """

    backend: str
    strategy: str
    seed: int | None
    trial: int | None = None

    @property
    def title(self) -> str:
        """What the job is called on the screen."""
        if not self.strategy:
            return f"{self.backend}, weights to compare backends from"
        if self.seed is None:
            return f"{self.backend}, {self.strategy}, steps to compare backends"
        if self.trial is not None:
            return f"{self.backend}, {self.strategy}, trial {self.trial}"
        return f"{self.backend}, {self.strategy}, seed {self.seed}"

    @property
    def file_name(self) -> str:
        """Name of the file with what the job gives."""
        name = f"{self.backend}-{_file_name(self.strategy)}"
        if self.seed is None:
            return f"{name}.npz"
        number = self.seed if self.trial is None else self.trial
        return f"{name}-{number}.json"


def all_runs(settings: Settings) -> list[Job]:
    """Returns the runs, seed by seed, so that early ones tell something."""
    return [
        Job(backend, strategy, seed)
        for backend in settings.backends
        for seed in range(settings.seeds)
        for strategy in settings.strategies
    ]


def trial_job(backend: str, strategy: str, trial: int) -> Job:
    """Returns a trial of a strategy for which something is tuned."""
    return Job(backend, strategy, TRIAL_SEED, trial)


def all_agreements(settings: Settings) -> list[Job]:
    """Returns the steps by which backends are compared."""
    if not settings.compares_backends():
        return []
    return [
        Job(backend, strategy, None)
        for backend in settings.backends
        for strategy in settings.strategies
        # It is not one model, and equal weights say as much.
        if strategy != SINGLE_TASK
    ]


def all_starts(settings: Settings) -> list[Job]:
    """Returns the weights to start from, which one of the backends writes."""
    if not settings.compares_backends():
        return []
    return [Job(backend, "", None) for backend in settings.backends]


def _file_name(strategy: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_]", "_", strategy)
    if plain == strategy and strategy == strategy.lower():
        return strategy
    # Import paths, and names in capitals, must not meet others on any disk.
    digest = hashlib.sha256(strategy.encode()).hexdigest()[:8]
    return f"{plain.lower()[:40]}-{digest}"
