"""Which setting to try next, and which was best: Optuna does the search."""

import contextlib
import math
import statistics
import warnings
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from keras_mtl.comparison.objective import Objective

#: Settings that are drawn at random, after the one in the middle of all ranges,
#: before a model of the objective is used.
STARTUP = 5

#: What is drawn by name.
Drawn = dict[str, float]


class Range(NamedTuple):
    """Where a number is looked for; on a logarithmic scale from above 0."""

    low: float
    high: float

    @property
    def is_logarithmic(self) -> bool:
        """Whether orders of magnitude count."""
        return self.low > 0.0

    @property
    def middle(self) -> float:
        """The number in the middle, on its scale."""
        if self.is_logarithmic:
            return math.sqrt(self.low * self.high)
        return (self.low + self.high) / 2.0


class Tried(NamedTuple):
    """What was tried before.

    Attributes:
        drawn: What was drawn.
        value: What came of it: the lower, the better, infinite where training
            diverged.
        pruned: Whether it was ended early, and is no result.
    """

    drawn: Drawn
    value: float
    pruned: bool = False


def suggest(
    space: Mapping[str, Range], tried: Sequence[Tried], seed: int
) -> Drawn:
    """Returns the next setting to try, always the same after the same trials.

    Args:
        space: A range for each name.
        tried: What has been tried before, with the last value of what was
            ended early.
        seed: Decides what is random.
    """
    import optuna

    if not tried:
        return {name: it.middle for name, it in space.items()}
    with warnings.catch_warnings():
        # Of the sampler and of how often it changes.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.GPSampler(
            seed=(seed * 1_000_003 + len(tried)) % 2**32,
            n_startup_trials=1 + STARTUP,
            # All trials have one seed: a setting always gives the same.
            deterministic_objective=True,
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler)
    distributions = _distributions(space)
    values = _even([it.value for it in tried])
    for before, value in zip(tried, values, strict=True):
        study.add_trial(
            optuna.trial.create_trial(
                params=before.drawn, distributions=distributions, value=value
            )
        )
    params = study.ask(fixed_distributions=distributions).params
    return {name: float(params[name]) for name in space}


def tried_of(trial: Mapping[str, Any], objective: Objective) -> Tried:
    """Returns what a trial was, and what came of it.

    Args:
        trial: Its record.
        objective: What is tuned for.
    """
    value = trial["value"]
    return Tried(
        trial["drawn"],
        math.inf if value is None else objective.order(value),
        trial["pruned"],
    )


def best_of(tried: Sequence[Tried]) -> int:
    """Returns the index of the lowest value, the first of equal ones.

    What was ended early is the best only if all was.
    """
    return min(
        range(len(tried)), key=lambda it: (tried[it].pruned, tried[it].value)
    )


def write_storage(
    path: Path,
    name: str,
    space: Mapping[str, Range],
    tried: Sequence[Tried],
) -> None:
    """Adds the trials that are missing to a study of Optuna's.

    Args:
        path: An SQLite file, made if need be.
        name: Name of the study.
        space: A range for each name.
        tried: As for `suggest`, in their order.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    states = optuna.trial.TrialState
    with opened_storage(path) as storage:
        study = optuna.create_study(
            storage=storage, study_name=name, load_if_exists=True
        )
        for it in tried[len(study.get_trials(deepcopy=False)) :]:
            study.add_trial(
                optuna.trial.create_trial(
                    params=it.drawn,
                    distributions=_distributions(space),
                    value=it.value,
                    state=states.PRUNED if it.pruned else states.COMPLETE,
                )
            )


@contextlib.contextmanager
def opened_storage(path: Path) -> Iterator[Any]:
    """An SQLite file of Optuna's, which is closed after the context.

    Args:
        path: The file, made if need be.
    """
    import optuna

    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    try:
        yield storage
    finally:
        # Optuna leaves its connections to the garbage collector.
        storage.remove_session()
        storage.engine.dispose()


def _distributions(space: Mapping[str, Range]) -> dict[str, Any]:
    import optuna

    return {
        name: optuna.distributions.FloatDistribution(*it, log=it.is_logarithmic)
        for name, it in space.items()
    }


def _even(values: Sequence[float]) -> list[float]:
    """Has positive values count by their logarithm, else the worse half.

    A loss that explodes would hide all differences between the good ones.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return [0.0] * len(values)
    median, largest = statistics.median(finite), max(finite)
    if min(finite) > 0.0:
        return [math.log(min(value, largest)) for value in values]
    scale = median - min(finite) or 1.0
    return [
        value
        if value <= median
        else median + scale * math.log1p((min(value, largest) - median) / scale)
        for value in values
    ]
