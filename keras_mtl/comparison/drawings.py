"""What the report draws: curves, maps of conflicts and bars of cost."""

import statistics
from typing import Any

from keras_mtl.comparison.summary import epoch_measures
from keras_mtl.comparison.svg_bars import Bar
from keras_mtl.comparison.svg_bars import draw_bars
from keras_mtl.comparison.svg_curves import Curve
from keras_mtl.comparison.svg_curves import Point
from keras_mtl.comparison.svg_curves import draw_curves
from keras_mtl.comparison.svg_matrix import draw_matrix
from keras_mtl.comparison.tables import milliseconds
from keras_mtl.visualization.canvas import COLOURS


def colour_of(document: dict[str, Any], strategy: str) -> str:
    """Returns the colour that a strategy has in all drawings."""
    index = list(document["settings"]["strategies"]).index(strategy)
    return COLOURS[index % len(COLOURS)]


def curves_of(document: dict[str, Any], backend: str) -> dict[str, str]:
    """Returns a drawing for each measurement, with a curve per strategy."""
    runs = [
        run
        for run in document["runs"]
        if run["backend"] == backend and run["history"]
    ]
    measured = [
        [epoch_measures(run["tasks"], logs) for logs in run["history"]]
        for run in runs
    ]
    names = dict.fromkeys(
        name for epochs in measured for epoch in epochs for name in epoch
    )
    strategies = dict.fromkeys(run["strategy"] for run in runs)
    drawn = {}
    for name in names:
        title = name.replace("_", " ")
        curves = []
        for strategy in strategies:
            lists = [
                [epoch.get(name) for epoch in epochs]
                for run, epochs in zip(runs, measured, strict=True)
                if run["strategy"] == strategy
            ]
            colour = colour_of(document, strategy)
            curves.append(Curve(strategy, colour, _points(lists)))
        drawing = draw_curves(title, curves)
        if drawing:
            drawn[title] = drawing
    return drawn


def conflicts_of(document: dict[str, Any], backend: str) -> dict[str, str]:
    """Returns a map of cosines, means over the seeds, for each strategy."""
    drawn = {}
    for strategy in document["settings"]["strategies"]:
        runs = [
            run
            for run in document["runs"]
            if (run["backend"], run["strategy"]) == (backend, strategy)
            and run["cosines"] is not None
        ]
        if runs:
            matrix = [
                [_mean(list(cell)) for cell in zip(*rows, strict=True)]
                for rows in zip(*(run["cosines"] for run in runs), strict=True)
            ]
            title = f"{strategy} on {backend}"
            drawn[title] = draw_matrix(title, runs[0]["tasks"], matrix)
    return drawn


def costs_of(document: dict[str, Any]) -> dict[str, str]:
    """Returns bars of the time per step for each backend."""
    bars: dict[str, list[Bar]] = {}
    for row in document["summary"]:
        seconds = row["measures"].get("seconds_per_step")
        value = milliseconds(seconds)["mean"]
        if value is not None:
            strategy = row["strategy"]
            colour = colour_of(document, strategy)
            bar = Bar(strategy, colour, value)
            bars.setdefault(row["backend"], []).append(bar)
    return {
        backend: draw_bars(f"time per step on {backend}", "ms", members)
        for backend, members in bars.items()
    }


def _points(lists: list[list[float | None]]) -> list[Point]:
    """Points of the epochs in which all runs that got there have a number."""
    points = []
    for epoch in range(max(len(values) for values in lists)):
        values = [it[epoch] for it in lists if epoch < len(it)]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            mean = statistics.fmean(known)
            points.append(Point(epoch + 1, mean, min(known), max(known)))
    return points


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
