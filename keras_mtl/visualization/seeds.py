"""Runs from several seeds: means, and how far the seeds are apart."""

import statistics
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from keras_mtl.visualization.canvas import COLOURS
from keras_mtl.visualization.canvas import draw_curve


class Point(NamedTuple):
    """Mean and range over the seeds, after an epoch."""

    epoch: int
    mean: float
    low: float
    high: float


def points_of(runs: Sequence[Sequence[float | None]]) -> list[Point]:
    """Returns the epochs in which all runs that got there have a number.

    Args:
        runs: Values by epoch, for each seed.
    """
    points = []
    for epoch in range(max(map(len, runs), default=0)):
        values = [run[epoch] for run in runs if epoch < len(run)]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            mean = statistics.fmean(known)
            points.append(Point(epoch + 1, mean, min(known), max(known)))
    return points


def draw_seeds(axes: Any, index: int, points: list[Point], label: str) -> Any:
    """Draws the mean as a curve and the range as a band; returns the curve.

    Args:
        axes: Matplotlib axes.
        index: Position among several curves; decides the colour.
        points: What `points_of` returns, one or more.
        label: Name of the curve.
    """
    epochs, means, lows, highs = map(list, zip(*points, strict=True))
    draw_curve(axes, index, means, label, places=epochs)
    (*_, line) = axes.get_lines()
    line.set_markevery(None)
    axes.fill_between(
        epochs,
        lows,
        highs,
        color=COLOURS[index % len(COLOURS)],
        alpha=0.2,
        linewidth=0,
    )
    axes.xaxis.get_major_locator().set_params(integer=True)
    return line


def draw_intervals(
    axes: Any,
    names: Sequence[str],
    means: Sequence[float],
    half_widths: Sequence[float | None],
    indices: Sequence[int],
) -> None:
    """Draws a mean and its interval in a line for each name, and a line at 0.

    Args:
        axes: Matplotlib axes.
        names: Names, from above.
        means: The means.
        half_widths: Half of the intervals, `None` where there is none.
        indices: Positions that decide the colours.
    """
    axes.axvline(0.0, color="grey", linewidth=1, zorder=0)
    for place, index in enumerate(indices):
        axes.errorbar(
            means[place],
            place,
            xerr=half_widths[place],
            color=COLOURS[index % len(COLOURS)],
            fmt="o",
            capsize=4,
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.spines[["top", "right"]].set_visible(False)


def draw_bars(
    axes: Any,
    names: Sequence[str],
    values: Sequence[Sequence[float]],
    texts: Sequence[str],
    indices: Sequence[int] | None = None,
) -> None:
    """Draws a bar from the left for each mean, and a dot for each seed.

    Args:
        axes: Matplotlib axes.
        names: Names of the bars, from above.
        values: For each bar the values of the seeds, not negative.
        texts: What stands beside the bars.
        indices: Positions that decide the colours. Defaults to `None`: in
            order.
    """
    for place, (seeds, text) in enumerate(zip(values, texts, strict=True)):
        index = place if indices is None else indices[place]
        colour = COLOURS[index % len(COLOURS)]
        axes.barh(place, statistics.fmean(seeds), 0.6, color=colour, alpha=0.7)
        if len(seeds) > 1:
            axes.plot(seeds, [place] * len(seeds), "o", color="black", ms=4)
        axes.annotate(
            text,
            (max(seeds), place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    # From 0 on, with room for the texts; of a width where all are 0.
    axes.set_xlim(0.0, 1.2 * max(map(max, values), default=0.0) or 1.0)
    axes.spines[["top", "right"]].set_visible(False)
