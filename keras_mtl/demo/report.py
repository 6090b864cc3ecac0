"""The demo's table, plot and results file."""

import dataclasses
import functools
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mtl.demo.run import Settings

# Okabe and Ito's colours, told apart with every common colour vision.
COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#D55E00",
    "#56B4E9",
    "#F0E442",
    "#000000",
)
MARKERS = "osD^vPX*"


def write_results(
    path: Path, settings: Settings, results: list[dict[str, Any]], version: str
) -> None:
    """Writes everything that was measured, and how, as JSON."""
    document = {
        "keras_mtl": version,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "python": platform.python_version(),
        "settings": dataclasses.asdict(settings),
        "runs": results,
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def spread(
    results: list[dict[str, Any]],
    strategy: str,
    value: Callable[[dict[str, Any]], float],
) -> tuple[float, float]:
    """Returns mean and standard deviation of a value over the seeds."""
    values = [value(run) for run in results if run["strategy"] == strategy]
    deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return float(np.mean(values)), float(deviation)


def table(results: list[dict[str, Any]]) -> Any:
    """Returns a rich table with a row for each strategy."""
    from rich.table import Table

    seeds = len({run["seed"] for run in results})
    columns: list[tuple[str, str, Callable[[dict[str, Any]], float]]] = [
        (f"{task} %", ".1f", functools.partial(_accuracy, task))
        for task in results[0]["accuracy"]
    ]
    columns += [
        ("mean %", ".1f", lambda run: 100 * run["mean_accuracy"]),
        ("test loss", ".3f", lambda run: run["test_loss"]),
        ("conflict %", ".0f", lambda run: 100 * run["conflict_ratio"]),
        ("s / epoch", ".2f", lambda run: run["seconds_per_epoch"]),
    ]
    rendered = Table(
        title=f"Test accuracy after the last epoch, {seeds} "
        + ("seed" if seeds == 1 else "seeds (mean ± standard deviation)"),
    )
    rendered.add_column("strategy", no_wrap=True)
    for name, _, _ in columns:
        rendered.add_column(name, justify="right", no_wrap=True)
    for strategy in strategies_of(results):
        cells = [strategy]
        for _, form, value in columns:
            mean, deviation = spread(results, strategy, value)
            cell = format(mean, form)
            cells.append(
                f"{cell} ± {format(deviation, form)}" if seeds > 1 else cell
            )
        rendered.add_row(*cells)
    return rendered


def _accuracy(task: str, run: dict[str, Any]) -> float:
    return 100 * run["accuracy"][task]


def strategies_of(results: list[dict[str, Any]]) -> list[str]:
    """Returns the strategies in the order in which they ran."""
    return list(dict.fromkeys(run["strategy"] for run in results))


def plot(path: Path, results: list[dict[str, Any]]) -> None:
    """Draws test accuracy and conflict ratio by epoch as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)  # No window, whatever the user's settings.
    accuracy, conflicts = figure.subplots(1, 2)
    tasks = list(results[0]["accuracy"])

    def mean_accuracy(epoch):
        names = [f"val_{task}_accuracy" for task in tasks]
        return 100 * np.mean([epoch[name] for name in names])

    _curves(accuracy, results, mean_accuracy)
    accuracy.set_ylabel("test accuracy, mean of the tasks (%)")
    accuracy.legend(frameon=False)
    _curves(conflicts, results, lambda epoch: 100 * epoch["conflict_ratio"])
    conflicts.set_ylabel("batches with conflicting gradients (%)")
    conflicts.set_ylim(-2, 102)
    backend = keras.backend.backend()
    figure.suptitle(f"Two overlapping digits, Keras on {backend}")
    figure.savefig(path, dpi=150)


def _curves(
    axes: Any,
    results: list[dict[str, Any]],
    value: Callable[[dict[str, float]], float],
) -> None:
    for index, strategy in enumerate(strategies_of(results)):
        runs = np.array(
            [
                [value(epoch) for epoch in run["history"]]
                for run in results
                if run["strategy"] == strategy
            ]
        )
        epochs = np.arange(1, runs.shape[1] + 1)
        mean = runs.mean(axis=0)
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(
            epochs,
            mean,
            color=colour,
            marker=MARKERS[index % len(MARKERS)],
            markersize=4,
            label=strategy,
        )
        axes.fill_between(
            epochs,
            runs.min(axis=0),
            runs.max(axis=0),
            color=colour,
            alpha=0.2,
            linewidth=0,
        )
    axes.set_xlabel("epoch (shaded: range over the seeds)")
    axes.spines[["top", "right"]].set_visible(False)
