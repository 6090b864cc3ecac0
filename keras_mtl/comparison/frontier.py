"""What loss weights trade between tasks: the tried ones, and the best of them.

Which is best for one sum of the tasks is decided by the objective. Which are
beaten is not: no weights are as good for every task and better for one.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mtl.comparison.objective import Objective
from keras_mtl.comparison.summary import measures_of
from keras_mtl.visualization.plot_pareto_front import beaten


def frontier(
    trials: Sequence[Mapping[str, Any]], objective: Objective, best: int
) -> dict[str, Any] | None:
    """Returns what was tried, `None` if it was not of loss weights.

    Args:
        trials: Records of the trials of a strategy.
        objective: What is tuned for. The values are of its metric if all
            tasks have it, else losses.
        best: Index of the best trial.
    """
    if not all("loss_weights" in trial["setting"] for trial in trials):
        return None
    tasks = trials[0]["tasks"]
    measured = [
        {}
        if trial["value"] is None or trial["pruned"]
        else measures_of(dict(trial))
        for trial in trials
    ]
    metric = objective.measure.removeprefix("test_").removeprefix("mean_")
    is_metric = all(
        f"test_{task}_{metric}" in it for task in tasks for it in measured if it
    )
    if not is_metric:
        metric = "loss"
    rows = [
        [it.get(f"test_{task}_{metric}") for task in tasks] for it in measured
    ]
    values = np.array(rows, dtype="float64")
    is_whole = np.isfinite(values).all(axis=1)
    higher = is_metric and objective.higher_is_better
    is_beaten = beaten(values[is_whole] * (-1.0 if higher else 1.0))
    on_front = np.zeros(len(values), dtype=bool)
    on_front[is_whole] = ~is_beaten
    return {
        "metric": metric,
        "higher_is_better": higher,
        "tasks": list(tasks),
        "best": best,
        "points": [
            {
                "trial": index,
                "loss_weights": trial["setting"]["loss_weights"],
                "values": row if is_whole[index] else None,
                "is_beaten": not bool(on_front[index]),
            }
            for index, (trial, row) in enumerate(zip(trials, rows, strict=True))
        ],
    }


def title_of(frontier: Mapping[str, Any]) -> str:
    """Returns what a frontier is called in reports."""
    return f"Frontier: {frontier['strategy']} on {frontier['backend']}"
