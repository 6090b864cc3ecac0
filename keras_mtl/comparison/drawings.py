"""What the page draws: curves, maps of conflicts and bars of cost."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mtl.comparison.answer import Answer
from keras_mtl.comparison.frontier import title_of
from keras_mtl.comparison.objective import USUAL_OBJECTIVE
from keras_mtl.comparison.objective import read_objective
from keras_mtl.comparison.summary import epoch_measures
from keras_mtl.terminal import printable
from keras_mtl.visualization.canvas import COLOURS
from keras_mtl.visualization.canvas import draw_curve
from keras_mtl.visualization.canvas import finish
from keras_mtl.visualization.canvas import new_figure
from keras_mtl.visualization.parallel import draw_parallel
from keras_mtl.visualization.plot_conflicts import plot_conflicts
from keras_mtl.visualization.plot_pareto_front import plot_pareto_front
from keras_mtl.visualization.seeds import Point
from keras_mtl.visualization.seeds import draw_bars
from keras_mtl.visualization.seeds import draw_intervals
from keras_mtl.visualization.seeds import draw_seeds
from keras_mtl.visualization.seeds import points_of
from keras_mtl.visualization.svg import TIPS
from keras_mtl.visualization.svg import embedded_svg
from keras_mtl.visualization.svg import svg_style

#: Longest name in a drawing.
LONGEST = 16

#: For each strategy, values by epoch of each of its runs.
Values = dict[str, list[list[float | None]]]


def index_of(document: dict[str, Any], strategy: str) -> int:
    """Returns the position of a strategy, which decides its colour."""
    return list(document["settings"]["strategies"]).index(strategy)


def colour_of(document: dict[str, Any], strategy: str) -> str:
    """Returns the colour that a strategy has in all drawings."""
    return COLOURS[index_of(document, strategy) % len(COLOURS)]


def epochs_of(document: dict[str, Any], backend: str) -> dict[str, Values]:
    """Returns the values of each measurement by epoch, of a backend's runs."""
    found: dict[str, Values] = {}
    runs = [run for run in document["runs"] if run["backend"] == backend]
    measured = [
        [epoch_measures(run["tasks"], logs) for logs in run["history"]]
        for run in runs
    ]
    for name in dict.fromkeys(
        name for epochs in measured for epoch in epochs for name in epoch
    ):
        found[name] = {}
        for run, epochs in zip(runs, measured, strict=True):
            values = [epoch.get(name) for epoch in epochs]
            found[name].setdefault(run["strategy"], []).append(values)
    return found


def curves_of(document: dict[str, Any], backend: str) -> dict[str, str]:
    """Returns a drawing for each measurement, with a curve per strategy."""
    drawn = {}
    for name, values in epochs_of(document, backend).items():
        title = name.replace("_", " ")
        drawing = _curves(document, title, values)
        if drawing is not None:
            drawn[title] = drawing
    return drawn


def _curves(document: dict[str, Any], title: str, values: Values) -> str | None:
    tips = {}
    with svg_style():
        figure = new_figure((4.4, 2.6))
        axes = figure.subplots()
        for strategy, runs in values.items():
            points = points_of(runs)
            if not points:
                continue
            index = index_of(document, strategy)
            draw_seeds(axes, index, points, strategy).set_gid(f"{TIPS}{index}")
            tips[str(index)] = [
                f"{strategy}, epoch {point.epoch}: {title} {_range(point)}"
                for point in points
            ]
        finish(axes, "epoch", "")
        return embedded_svg(figure, title, tips) if tips else None


def _range(point: Point) -> str:
    text = f"{point.mean:.4g}"
    if point.low < point.high:
        text += f" ({point.low:.4g} to {point.high:.4g})"
    return text


def differences_of(document: dict[str, Any], answer: Answer) -> dict[str, str]:
    """Returns a drawing of the differences to the baseline, if any."""
    rows = [
        (row.strategy, row.difference)
        for row in answer.rows
        # Of what diverged it is one of the runs that went well.
        if row.difference is not None and not row.diverged
    ]
    if not rows:
        return {}
    names = [name for name, _ in rows]
    title = f"{answer.objective.title}, minus that of {answer.baseline}"
    with svg_style():
        figure = new_figure((4.4, 0.8 + 0.35 * len(rows)))
        axes = figure.subplots()
        draw_intervals(
            axes,
            [_shortened(name) for name in names],
            [it.mean for _, it in rows],
            [it.half_width for _, it in rows],
            [index_of(document, name) for name in names],
        )
        return {title: embedded_svg(figure, title)}


def tuning_of(document: dict[str, Any], backend: str) -> dict[str, str]:
    """Returns a drawing of what was tried, over the learning rate, if tuned."""
    objective = document["settings"].get("objective", USUAL_OBJECTIVE)
    title = f"{read_objective(objective).title} of trials on {backend}"
    with svg_style():
        figure = new_figure((4.4, 2.6))
        axes = figure.subplots()
        for tuned in document.get("tuning", []):
            points = sorted(
                (trial["setting"]["learning_rate"], trial["value"])
                for trial in tuned["trials"]
                if "learning_rate" in trial["setting"]
                and trial["value"] is not None
            )
            if tuned["backend"] == backend and points:
                rates, values = zip(*points, strict=True)
                index = index_of(document, tuned["strategy"])
                label = tuned["strategy"]
                draw_curve(axes, index, values, label, places=rates)
                axes.get_lines()[-1].set_markevery(None)
        if not axes.get_lines():
            return {}
        axes.set_xscale("log")
        shown = [it for line in axes.get_lines() for it in line.get_ydata()]
        ends = _ends_without_failures(shown)
        if ends is not None:
            axes.set_ylim(*ends)
        finish(axes, "learning rate", "")
        return {title: embedded_svg(figure, title)}


def frontier_of(frontier: dict[str, Any]) -> tuple[str, str | None]:
    """Returns the title and a drawing of what loss weights trade, if known."""
    title = title_of(frontier)
    points = [it for it in frontier["points"] if it["values"] is not None]
    if not points:
        return title, None
    values = np.array([it["values"] for it in points])
    tasks = [_shortened(task) for task in frontier["tasks"]]
    higher = frontier["higher_is_better"]
    with svg_style():
        if len(tasks) == 2:
            # Names of all would hide each other.
            labels = ["" if it["is_beaten"] else _weights(it) for it in points]
            axes = new_figure((4.4, 3.2)).subplots()
            plot_pareto_front(
                values, labels, higher_is_better=higher, tasks=tasks, ax=axes
            )
            for column, limit in enumerate((axes.set_xlim, axes.set_ylim)):
                ends = _ends_without_failures(values[:, column].tolist())
                if ends is not None:
                    limit(*ends)
        else:
            axes = new_figure((4.4, 2.6)).subplots()
            trials = [it["trial"] for it in points]
            draw_parallel(
                axes,
                -values if higher else values,
                tasks,
                np.array([not it["is_beaten"] for it in points]),
                trials.index(frontier["best"]),
            )
        label = f"{title}, {frontier['metric']} of each task"
        return title, embedded_svg(axes.figure, label)


def _ends_without_failures(values: Sequence[float]) -> Any:
    """Returns ends of an axis of losses, `None` where none need be cut off.

    Those that went wrong would hide how the others differ.
    """
    low, middle = min(values), statistics.median(values)
    if max(values) > middle + 4.0 * (middle - low) > low:
        return low - 0.2 * (middle - low), 3.0 * middle - 2.0 * low
    return None


def _weights(point: dict[str, Any]) -> str:
    return " : ".join(f"{it:.2g}" for it in point["loss_weights"])


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
            tasks = [_shortened(task) for task in runs[0]["tasks"]]
            with svg_style():
                drawn[title] = embedded_svg(
                    plot_conflicts(matrix, tasks), title
                )
    return drawn


def costs_of(document: dict[str, Any]) -> dict[str, str]:
    """Returns bars of the time per step for each backend."""
    drawn = {}
    for backend in document["versions"]:
        means = {
            row["strategy"]: 1000.0 * spread["mean"]
            for row in document["summary"]
            if row["backend"] == backend
            and (spread := row["measures"].get("seconds_per_step"))
            and spread["mean"] is not None
        }
        if means:
            drawn[backend] = _bars(document, backend, means)
    return drawn


def _bars(
    document: dict[str, Any], backend: str, means: dict[str, float]
) -> str:
    with svg_style():
        figure = new_figure((4.4, 0.6 + 0.35 * len(means)))
        axes = figure.subplots()
        draw_bars(
            axes,
            [_shortened(strategy) for strategy in means],
            [[mean] for mean in means.values()],
            [f"{mean:.3g} ms" for mean in means.values()],
            [index_of(document, strategy) for strategy in means],
        )
        axes.set_xticks([])
        return embedded_svg(figure, f"time per step on {backend}")


def _shortened(name: str) -> str:
    # Commands of a terminal have no place in XML either.
    name = printable(name)
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
