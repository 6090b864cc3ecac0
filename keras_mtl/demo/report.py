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

from keras_mtl.atomic_files import replaced_at_once
from keras_mtl.atomic_files import write_atomically
from keras_mtl.demo.run import Settings
from keras_mtl.output_folder import check_output_folder
from keras_mtl.output_folder import check_own_file
from keras_mtl.output_folder import naming
from keras_mtl.visualization.canvas import COLOURS
from keras_mtl.visualization.canvas import MARKERS

RESULTS = "results.json"
PLOT = "demo.png"

#: What the results have, by which they are known as the demo's.
OWN_KEYS = {"keras_mtl", "keras", "backend", "python", "settings", "runs"}


def check_output(folder: Path) -> None:
    """Raises `ValueError` if writing could touch what is another's.

    Args:
        folder: The folder of the results.
    """
    check_output_folder(folder)
    results, plot = folder / RESULTS, folder / PLOT
    for path in (results, plot):
        check_own_file(path)
    # The plot has no place for a name; it comes after the results.
    is_own = results.exists() and _is_own(results)
    for path in (results, plot):
        if path.exists() and not is_own:
            raise ValueError(
                f"{path} is there, but was not written by the demo. Name "
                "another folder with --output."
            )


def _is_own(results: Path) -> bool:
    try:
        found = json.loads(results.read_text(encoding="utf-8"))
    except (RecursionError, ValueError):
        return False
    return isinstance(found, dict) and set(found) == OWN_KEYS


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
    with naming(path):
        write_atomically(path, json.dumps(document, indent=2) + "\n")


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
    from rich import box
    from rich.table import Table

    seeds = len({run["seed"] for run in results})
    columns: list[tuple[str, str, Callable[[dict[str, Any]], float]]] = [
        (f"{task} %", ".1f", functools.partial(_accuracy, task))
        for task in results[0]["accuracy"]
    ]
    columns += [
        ("mean %", ".1f", lambda run: 100 * run["mean_accuracy"]),
        ("loss", ".2f", lambda run: run["test_loss"]),
        ("conflict", ".0f", lambda run: 100 * run["conflict_ratio"]),
        ("s/epoch", ".1f", lambda run: run["seconds_per_epoch"]),
    ]
    # Narrow enough for a terminal of 80 columns.
    rendered = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    rendered.title = f"Test images, last epoch, {seeds} " + (
        "seed" if seeds == 1 else "seeds: mean ± standard deviation"
    )
    rendered.add_column("strategy", no_wrap=True)
    for name, _, _ in columns:
        rendered.add_column(name, justify="right", no_wrap=True)
    for strategy in strategies_of(results):
        cells = [strategy]
        for name, form, value in columns:
            mean, deviation = spread(results, strategy, value)
            cell = format(mean, form)
            if seeds > 1 and name != "s/epoch":
                cell += f" ± {format(deviation, form)}"
            cells.append(cell)
        rendered.add_row(*cells)
    return rendered


def _accuracy(task: str, run: dict[str, Any]) -> float:
    return 100 * run["accuracy"][task]


def strategies_of(results: list[dict[str, Any]]) -> list[str]:
    """Returns the strategies in the order in which they ran."""
    return list(dict.fromkeys(run["strategy"] for run in results))


def plot(path: Path, results: list[dict[str, Any]]) -> None:
    """Draws accuracy by epoch, and how often gradients conflict, as a PNG."""
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
    _bars(conflicts, results)
    backend = keras.backend.backend()
    figure.suptitle(f"Two overlapping digits, Keras on {backend}")
    with naming(path), replaced_at_once(path) as temporary:
        figure.savefig(temporary, dpi=150)


def _bars(axes: Any, results: list[dict[str, Any]]) -> None:
    strategies = strategies_of(results)
    for index, strategy in enumerate(strategies):
        values = [
            100 * run["conflict_ratio"]
            for run in results
            if run["strategy"] == strategy
        ]
        colour = COLOURS[index % len(COLOURS)]
        axes.bar(index, np.mean(values), width=0.6, color=colour, alpha=0.7)
        axes.plot([index] * len(values), values, "o", color="black", ms=4)
    axes.set_xticks(range(len(strategies)), strategies)
    axes.set_ylabel("batches with conflicting gradients (%)")
    axes.set_xlabel("strategy (dots: seeds)")
    axes.spines[["top", "right"]].set_visible(False)


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
