"""What follows for all tasks together where each has a model of its own."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_mtl.comparison.objective import is_higher_better
from keras_mtl.comparison.problem import SINGLE_TASK
from keras_mtl.comparison.summary import measures_of
from keras_mtl.metrics import delta_m
from keras_mtl.metrics import delta_p
from keras_mtl.metrics import hypervolume
from keras_mtl.metrics import mean_rank

#: By name of the measure, its title.
TITLES = {
    "test_delta_m": "Δm in %",
    "test_delta_p": "Δp in %",
    "test_mean_rank": "mean rank",
    "test_hypervolume": "hypervolume",
}

#: Values by task and metric.
Results = dict[str, dict[str, float]]

#: Values of the measures above, by strategy and seed.
Found = dict[str, dict[str, dict[int, float]]]


def task_results(run: Mapping[str, Any]) -> Results:
    """Returns what a run measures of each task on test data.

    Of metrics only those whose name tells which value is better; the loss
    where a task has no such metric. What is not finite is NaN.

    Args:
        run: A record.
    """
    found: Results = {task: {} for task in run["tasks"]}
    for name, value in measures_of(dict(run)).items():
        owners = [it for it in found if name.startswith(f"test_{it}_")]
        if owners:
            # The longest: `a_b` has a metric, `a` none of the name `b_...`.
            task = max(owners, key=len)
            metric = name.removeprefix(f"test_{task}_")
            if is_higher_better(name) is not None:
                found[task][metric] = math.nan if value is None else value
    for metrics in found.values():
        if set(metrics) > {"loss"}:
            del metrics["loss"]
    return found


def is_complete(results: Results) -> bool:
    """Whether there is a finite value for each task."""
    return bool(results) and all(
        metrics and all(map(math.isfinite, metrics.values()))
        for metrics in results.values()
    )


def counted_metrics(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the metrics that count, as `task/metric`.

    Those that are positive for the single-task models of all seeds: others
    have no relative change.

    Args:
        runs: Records of one backend.
    """
    baselines = [
        results
        for run in runs
        if run["strategy"] == SINGLE_TASK
        and run["status"] == "finished"
        and is_complete(results := task_results(run))
    ]
    if not baselines:
        return []
    return [
        f"{task}/{metric}"
        for task, metrics in baselines[0].items()
        for metric in metrics
        if all(it[task].get(metric, 0.0) > 0.0 for it in baselines)
    ]


def task_measures(
    runs: Sequence[Mapping[str, Any]], strategies: Sequence[str]
) -> Found:
    """Returns the measures for which there are values, by name.

    All are taken within seeds, from those in which the single-task models
    have finished.

    Args:
        runs: Records of one backend.
        strategies: The strategies that are compared. A rank is that among
            all; one that diverged has the last.
    """
    counted = counted_metrics(runs)
    found: Found = {}
    for seed in dict.fromkeys(run["seed"] for run in runs) if counted else ():
        results = {
            run["strategy"]: _chosen(task_results(run), counted)
            for run in runs
            if run["seed"] == seed and run["status"] == "finished"
        }
        results = {it: r for it, r in results.items() if is_complete(r)}
        base = results.get(SINGLE_TASK)
        if base is None:
            continue
        for strategy, values in _of_seed(results, base).items():
            for name, value in values.items():
                by_seed = found.setdefault(name, {}).setdefault(strategy, {})
                by_seed[seed] = value
        diverged = {
            run["strategy"] for run in runs if run["seed"] == seed
        } - set(results)
        if {*results, *diverged} >= set(strategies):
            for strategy, rank in _ranks(results, base, diverged).items():
                ranks = found.setdefault("test_mean_rank", {})
                ranks.setdefault(strategy, {})[seed] = rank
    return found


def _of_seed(
    results: Mapping[str, Results], base: Results
) -> dict[str, dict[str, float]]:
    directions = _directions(base)
    found = {}
    for strategy, values in results.items():
        ratios = [
            1.0
            + delta_p(
                {task: metrics}, {task: base[task]}, {task: directions[task]}
            )
            / 100.0
            for task, metrics in values.items()
        ]
        found[strategy] = {
            "test_delta_m": delta_m(values, base, directions),
            "test_delta_p": delta_p(values, base, directions),
            "test_hypervolume": hypervolume(
                [ratios], [0.0] * len(ratios), higher_is_better=True
            ),
        }
    return found


def _ranks(
    results: Mapping[str, Results], base: Results, diverged: set[str]
) -> dict[str, float]:
    """Ranks of those that have finished; those that diverged are last."""
    directions = _directions(base)
    worst = {
        task: {
            metric: -math.inf if directions[task][metric] else math.inf
            for metric in metrics
        }
        for task, metrics in base.items()
    }
    ranks = mean_rank({**results, **dict.fromkeys(diverged, worst)}, directions)
    return {strategy: ranks[strategy] for strategy in results}


def _directions(results: Results) -> dict[str, dict[str, bool]]:
    return {
        task: {
            metric: bool(is_higher_better(f"test_{task}_{metric}"))
            for metric in metrics
        }
        for task, metrics in results.items()
    }


def _chosen(results: Results, counted: Sequence[str]) -> Results:
    found: Results = {}
    for name in counted:
        task, _, metric = name.rpartition("/")
        value = results.get(task, {}).get(metric, math.nan)
        found.setdefault(task, {})[metric] = value
    return found
