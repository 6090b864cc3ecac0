"""Experiment B on the page: three tasks for each pixel."""

import functools
from typing import Any

import numpy as np

from benchmarks.study import tables
from benchmarks.study.results import BySeed
from benchmarks.study.results import Results
from benchmarks.study.rooms import HIGHER_IS_BETTER
from benchmarks.study.rooms import UNITS
from keras_mtl.comparison.statistics import estimate
from keras_mtl.comparison.statistics import paired
from keras_mtl.metrics import delta_m
from keras_mtl.metrics import delta_p

INTRODUCTION = """\
## B: rooms, three tasks for each pixel

What does DB-MTL balance? Segmentation (cross-entropy), depth (absolute error)
and surface normals (one minus cosine) of
rendered rooms (`docs/datasets.md`), 48 x 48 pixels, by a small
encoder and decoder. The second data set is the first with depth in centimetres:
the network converts what it predicts in metres, so that loss and gradient of
the task are 100 times as large and nothing else is different. Nash-MTL and the
logarithm of DB-MTL are made not to notice such a factor; EW adds it up.

"Log only" takes the logarithm of the losses and sums the gradients, "norm only"
averages gradients over time and scales them to one norm, without the logarithm.

- `delta_p`: mean over tasks of the gain over single-task models of the same
  seed, percent, higher is better;
- `delta_m`: mean over metrics of the drop, percent, lower is better."""

#: Task, metric, head of the column, factor and digits.
COLUMNS = (
    ("segmentation", "mean_iou", "mIoU", 100.0, 1),
    ("segmentation", "pixel_accuracy", "pixels", 100.0, 1),
    ("depth", "absolute_error", "depth, m", 1.0, 3),
    ("depth", "relative_error", "relative", 100.0, 1),
    ("normal", "mean", "mean angle", 1.0, 1),
    ("normal", "within_22.5", "within 22.5°", 100.0, 1),
)
HEAD = [
    "method",
    *(head for _, _, head, _, _ in COLUMNS),
    "delta_m",
    "delta_p",
    "s",
    "seeds",
]


def paragraphs(results: Results) -> list[str]:
    """Returns what is shown of a data set."""
    settings = results.settings
    found = tables.differences(
        tables.base_pairs(results),
        lambda name: gains(results, name, delta_p),
    )
    return [
        f"{settings['num_train']:,} training and {settings['num_test']:,} "
        f"test images; {settings['epochs']} epochs of batches of "
        f"{settings['batch_size']}. All nine metrics count in `delta_m` and "
        "`delta_p`.",
        tables.markdown(
            HEAD,
            tables.method_rows(results, functools.partial(_cells, results)),
        ),
        "Differences of `delta_p` between runs with the same seed:",
        tables.markdown(
            ["method", "against", "delta_p, points", "p value", "seeds"],
            tables.rows(results, found, 1.0),
        ),
        _order(results),
    ]


def headlines(results: Results) -> list[str]:
    """Returns what the data set says about the question, in sentences."""
    return [
        tables.statement(
            f"`delta_p` of {results.experiment.method(name).title} against EW",
            paired(
                gains(results, name, delta_p), gains(results, "ew", delta_p)
            ),
            1.0,
            "points",
        )
        for name in ("db_mtl", "log_only", "norm_only")
    ]


def gains(results: Results, name: str, measure: Any) -> BySeed:
    """Returns the change against single-task models, by seed."""
    singles = results.by_seed("single")
    return {
        seed: measure(record["test"], singles[seed]["test"], HIGHER_IS_BETTER)
        for seed, record in results.by_seed(name).items()
        if seed in singles
    }


def _cells(results: Results, name: str, records: tables.Records) -> list[str]:
    row = []
    for task, metric, head, factor, digits in COLUMNS:
        if head == "depth, m":
            factor = factor / UNITS[results.dataset]
        read = functools.partial(_measured, task, metric)
        row.append(tables.mean(records, read, factor, digits))
    for measure in (delta_m, delta_p):
        shown = (
            ""
            if name == "single"
            else tables.number(estimate(gains(results, name, measure)), 1.0, 2)
        )
        row.append(shown)
    seconds = [record["cpu_per_epoch"] for record in records.values()]
    return [*row, f"{np.median(seconds):.1f}", str(len(records))]


def _measured(task: str, metric: str, record: dict[str, Any]) -> float:
    return record["test"][task][metric]


def _order(results: Results) -> str:
    """Returns the methods by their mean gain, the best one first."""
    means = {
        method.title: estimate(gains(results, method.name, delta_p))
        for method in results.experiment.methods
        if not method.is_single
    }
    known = {title: it.mean for title, it in means.items() if it is not None}
    if not known:
        return "`delta_p`: not run."
    ordered = sorted(known, key=lambda title: -known[title])
    return f"By mean `delta_p`, best first: {'; '.join(ordered)}."
