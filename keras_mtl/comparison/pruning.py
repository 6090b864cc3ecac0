"""Which trials are not worth their last epochs: Optuna decides."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_mtl.comparison.objective import Objective
from keras_mtl.comparison.summary import epoch_measures

PRUNERS = ("halving", "hyperband", "median")

#: Trials that are not pruned, so that there is something to compare with.
STARTUP = 4


class Pruner:
    """Says after each epoch of a trial whether it should end.

    What it says follows from the trials before it, which are gone through
    again: after an interruption it says the same.

    Args:
        name: One of `PRUNERS`.
        epochs: Epochs of a trial that is not pruned.
        curves: For each trial before, the objective after each epoch, the
            lower, the better.
    """

    def __init__(
        self, name: str, epochs: int, curves: Sequence[Sequence[float]]
    ):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        pruners = optuna.pruners
        made = {
            "halving": lambda: pruners.SuccessiveHalvingPruner(),
            "hyperband": lambda: pruners.HyperbandPruner(max_resource=epochs),
            "median": lambda: pruners.MedianPruner(n_startup_trials=STARTUP),
        }
        # By the name of the study hyperband tells its trials apart.
        self._study = optuna.create_study(study_name="t", pruner=made[name]())
        for curve in curves:
            self._begin()
            ended = [self.ends(value) for value in curve]
            if ended and ended[-1]:
                state = optuna.trial.TrialState.PRUNED
                self._study.tell(self._trial, state=state)
            else:
                last = curve[-1] if curve else math.inf
                self._study.tell(self._trial, last)
        self._begin()

    def _begin(self) -> None:
        self._trial, self._epoch = self._study.ask(), 0

    def ends(self, value: float) -> bool:
        """Returns whether the trial should end after an epoch.

        Args:
            value: The objective after it, the lower, the better.
        """
        self._epoch += 1
        self._trial.report(value, self._epoch)
        return bool(self._trial.should_prune())


def curve_of(trial: Mapping[str, Any], objective: Objective) -> list[float]:
    """Returns what is the lower, the better a trial is, after each epoch.

    Args:
        trial: Its record.
        objective: What is tuned for.
    """
    return [
        value_of(trial["tasks"], logs, objective) for logs in trial["history"]
    ]


def value_of(
    tasks: list[str], logs: Mapping[str, float | None], objective: Objective
) -> float:
    """Returns the same of one epoch, infinite where it is not finite."""
    value = epoch_measures(tasks, dict(logs)).get(objective.measure)
    return math.inf if value is None else objective.order(value)
