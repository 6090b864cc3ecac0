"""Numbers over the seeds: what the tables of the reports show."""

import statistics
from typing import Any

#: Prefix of what Keras measures on data that is not trained on.
TEST = "val_"

#: Before the names of what `fit` has validated.
VALIDATION = "validation_"

Measures = dict[str, float | None]


def measures_of(run: dict[str, Any]) -> Measures:
    """Returns the measurements of a run by name.

    Of results the last epoch counts, not the best one on the test data.
    `conflict_ratio` is the mean over the epochs.
    """
    if not run["history"]:
        return {}
    epochs = [epoch_measures(run["tasks"], logs) for logs in run["history"]]
    measures = epochs[-1]
    known = [
        value
        for value in (epoch.get("conflict_ratio") for epoch in epochs)
        if value is not None
    ]
    if known:
        measures["conflict_ratio"] = statistics.fmean(known)
    measures["seconds_per_epoch"] = run["seconds"]["per_epoch"]
    measures["seconds_per_step"] = run["seconds"]["per_step"]
    return measures


def epoch_measures(tasks: list[str], logs: Measures) -> Measures:
    """Returns the measurements of an epoch by name.

    `test_<name>` is Keras's `val_<name>`; `test_mean_<metric>` is the mean of a
    metric that all tasks have.
    """
    tested = {
        name.removeprefix(TEST): value
        for name, value in logs.items()
        if name.startswith(TEST)
    }
    measures: Measures = {"test_loss": tested.get("loss")}
    measures.update(_means_over_tasks(tasks, tested))
    measures.update({f"test_{name}": tested[name] for name in tested})
    measures["train_loss"] = logs.get("loss")
    # Of the user's validation examples, where there are such.
    measures.update(
        {name: logs[name] for name in logs if name.startswith(VALIDATION)}
    )
    if "conflict_ratio" in logs:
        measures["conflict_ratio"] = logs["conflict_ratio"]
    return measures


def _means_over_tasks(tasks: list[str], tested: Measures) -> Measures:
    """Means of the metrics that all tasks have, apart from the loss."""
    prefix = f"{tasks[0]}_"
    metrics = [
        name.removeprefix(prefix) for name in tested if name.startswith(prefix)
    ]
    means: Measures = {}
    for metric in metrics:
        values = [tested.get(f"{task}_{metric}") for task in tasks]
        known = [value for value in values if value is not None]
        if metric != "loss" and len(known) == len(tasks) > 1:
            means[f"test_mean_{metric}"] = statistics.fmean(known)
    return means


def summarize(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns mean and standard deviation over the seeds.

    Args:
        runs: Records of runs.

    Returns:
        For each backend and strategy, in the order of `runs`: the number of
        runs, how many of them diverged, and for each measure `mean` and
        `standard_deviation` over the others, with n - 1 in the denominator. A
        number is `None` if there is no run, for the deviation no second one,
        or if it was not finite in one of them.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["backend"], run["strategy"]), []).append(run)
    rows = []
    for (backend, strategy), members in groups.items():
        finished = [run for run in members if run["status"] == "finished"]
        measured = [measures_of(run) for run in finished]
        names = dict.fromkeys(name for it in measured for name in it)
        rows.append(
            {
                "backend": backend,
                "strategy": strategy,
                "runs": len(members),
                "diverged": len(members) - len(finished),
                "measures": {
                    name: _spread([it.get(name) for it in measured])
                    for name in names
                },
            }
        )
    return rows


def _spread(values: list[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return {"mean": None, "standard_deviation": None}
    deviation = statistics.stdev(known) if len(known) > 1 else None
    return {"mean": statistics.fmean(known), "standard_deviation": deviation}


def measure_names(rows: list[dict[str, Any]]) -> list[str]:
    """Returns the names of all measures, each once."""
    return list(dict.fromkeys(name for row in rows for name in row["measures"]))
