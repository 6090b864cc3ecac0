"""Results of several tasks, nested by task, beside others of the same form."""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

#: `{task: {metric: value}}`; a number stands for a task with one metric.
Results = Mapping[str, Any]


class Metric(NamedTuple):
    """One metric of one task.

    Attributes:
        task: The task.
        name: Name of the metric, that of the task if it has only one.
        path: As it is called in messages.
    """

    task: str
    name: str
    path: str


def named(results: Any) -> Any:
    """Returns results with the positions as names, where there are no others.

    Args:
        results: Results of the documented form, or with a list, tuple or
            array in place of a dict.
    """
    if _is_sequence(results):
        results = {str(index): value for index, value in enumerate(results)}
    if not isinstance(results, Mapping):
        return results
    return {
        name: named(value) if _is_sequence(value) else value
        for name, value in results.items()
    }


def flatten(argument: str, results: Results) -> dict[Metric, Any]:
    """Returns the value of every metric, or raises `ValueError`."""
    if not isinstance(results, Mapping) or not results:
        raise ValueError(
            f"Argument `{argument}` must be a dict by task, of numbers or of "
            f"dicts by metric, not empty. Received: {argument}={results!r}"
        )
    flat = {}
    for task, values in results.items():
        if isinstance(values, Mapping):
            if not values:
                raise ValueError(f"`{argument}[{task!r}]` has no metrics.")
            for name, value in values.items():
                flat[Metric(task, name, f"{task}/{name}")] = value
        else:
            flat[Metric(task, task, task)] = values
    return flat


def numbers(argument: str, results: Results) -> dict[Metric, float]:
    """Returns the values as numbers, or raises `ValueError`."""
    flat = flatten(argument, results)
    for metric, value in flat.items():
        try:
            flat[metric] = float(value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`{argument}` must hold numbers. Received for "
                f"{metric.path!r}: {value!r}"
            ) from error
    return flat


def directions(
    higher_is_better: Any, metrics: Collection[Metric]
) -> dict[Metric, bool]:
    """Returns for each metric whether higher is better.

    Args:
        higher_is_better: One bool for all; a collection of the names of those
            metrics that are better if higher; a dict of bools, of the form of
            the results, by task or by the name of the metric; or a sequence
            of bools in the order of the results.
        metrics: All metrics.
    """
    if _is_flag(higher_is_better):
        return dict.fromkeys(metrics, bool(higher_is_better))
    known = {metric.name for metric in metrics}
    if _is_sequence(higher_is_better) and len(higher_is_better):
        if all(map(_is_flag, higher_is_better)):
            return _flags_in_order(higher_is_better, metrics)
        if all(map(_is_sequence, higher_is_better)):
            higher_is_better = named(higher_is_better)
    if isinstance(higher_is_better, Mapping):
        return _flags_by_name(higher_is_better, metrics)
    if isinstance(higher_is_better, str) or not isinstance(
        higher_is_better, Collection
    ):
        raise ValueError(
            "Argument `higher_is_better` must be a bool, a collection of "
            "metric names, or a dict or sequence of bools. Received: "
            f"higher_is_better={higher_is_better!r}"
        )
    unknown = sorted(set(higher_is_better) - known)
    if unknown:
        raise ValueError(
            f"`higher_is_better` names {unknown}, which are no metrics. There "
            f"are: {sorted(known)}"
        )
    return {metric: metric.name in higher_is_better for metric in metrics}


def _is_sequence(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, (list, tuple))


def _is_flag(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _flags_by_name(
    higher_is_better: Mapping[str, Any], metrics: Collection[Metric]
) -> dict[Any, bool]:
    # By position, tasks and metrics may have the same names.
    are_flags = all(map(_is_flag, higher_is_better.values()))
    names = {metric.name for metric in metrics}
    if are_flags and names == set(higher_is_better):
        flags = {metric: higher_is_better[metric.name] for metric in metrics}
    else:
        by_task = named(higher_is_better)
        for metric in metrics:
            flag = by_task.get(metric.task)
            if _is_flag(flag) and metric.name != metric.task:
                of_task = [m.name for m in metrics if m.task == metric.task]
                by_task[metric.task] = dict.fromkeys(of_task, flag)
        flags = flatten("higher_is_better", by_task)
        check_same("higher_is_better", flags, metrics)
    for metric, flag in flags.items():
        if not _is_flag(flag):
            raise ValueError(
                "`higher_is_better` must hold bools. Received for "
                f"{metric.path!r}: {flag!r}"
            )
    return {metric: bool(flags[metric]) for metric in metrics}


def _flags_in_order(
    flags: Sequence[Any], metrics: Collection[Metric]
) -> dict[Any, bool]:
    if len(flags) != len(metrics):
        raise ValueError(
            "Argument `higher_is_better` must have one bool per metric. "
            f"Received: {len(flags)} bools for {len(metrics)} metrics."
        )
    return dict(zip(metrics, map(bool, flags), strict=True))


def check_same(
    argument: str, found: Collection[Metric], expected: Collection[Metric]
) -> None:
    """Raises `ValueError` unless there is one entry per metric."""
    missing = [metric.path for metric in expected if metric not in found]
    unknown = [metric.path for metric in found if metric not in expected]
    if missing or unknown:
        raise ValueError(
            f"Argument `{argument}` must have the tasks and metrics of the "
            f"results. Missing: {missing}. Unknown: {unknown}."
        )


def relative_gains(
    results: Results, baselines: Results, higher_is_better: Any
) -> dict[Metric, float]:
    """Returns by how many percent each metric is better than its baseline."""
    values = numbers("results", results)
    references = numbers("baselines", baselines)
    check_same("baselines", references, values)
    flags = directions(higher_is_better, values)
    gains = {}
    for metric, value in values.items():
        reference = references[metric]
        if not 0 < reference < np.inf:
            raise ValueError(
                "Relative changes need positive baselines. Received for "
                f"{metric.path!r}: {reference}. Leave the metric out, or "
                "measure it on a scale that begins at 0."
            )
        gain = 100.0 * (value - reference) / reference
        gains[metric] = gain if flags[metric] else -gain
    return gains
