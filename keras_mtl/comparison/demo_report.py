"""The demo's table, plot and results file."""

import json
import platform
import statistics
from pathlib import Path
from typing import Any

import keras

import keras_mtl
from keras_mtl.atomic_files import replaced_at_once
from keras_mtl.atomic_files import write_atomically
from keras_mtl.comparison.drawings import epochs_of
from keras_mtl.comparison.results_folder import json_text
from keras_mtl.comparison.summary import measures_of
from keras_mtl.output_folder import check_output_folder
from keras_mtl.output_folder import check_own_file
from keras_mtl.output_folder import naming
from keras_mtl.visualization.canvas import finish
from keras_mtl.visualization.canvas import new_figure
from keras_mtl.visualization.seeds import draw_bars
from keras_mtl.visualization.seeds import draw_seeds
from keras_mtl.visualization.seeds import points_of

RESULTS = "results.json"
PLOT = "demo.png"

#: What the results have, by which they are known as the demo's.
OWN_KEYS = {"keras_mtl", "keras", "backend", "python", "settings", "runs"}

#: The settings that the demo does not share with all of its kind.
SETTINGS = (
    "strategies",
    "seeds",
    "epochs",
    "num_train",
    "num_test",
    "batch_size",
    "learning_rate",
    "probed",
)

#: Columns of the table: the measure, a factor and the form of its numbers.
COLUMNS = {
    "left %": ("test_left_accuracy", 100.0, ".1f"),
    "right %": ("test_right_accuracy", 100.0, ".1f"),
    "mean %": ("test_mean_accuracy", 100.0, ".1f"),
    "loss": ("test_loss", 1.0, ".2f"),
    "conflict": ("conflict_ratio", 100.0, ".0f"),
    "s/epoch": ("seconds_per_epoch", 1.0, ".1f"),
}


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


def write_results(folder: Path, document: dict[str, Any]) -> None:
    """Writes everything that was measured, and how, as JSON.

    Args:
        folder: The folder of the results.
        document: What `ComparisonFolder.collect` returns.
    """
    settings = document["settings"]
    content = {
        "keras_mtl": keras_mtl.__version__,
        "keras": keras.__version__,
        "backend": settings["backends"][0],
        "python": platform.python_version(),
        "settings": {name: settings[name] for name in SETTINGS},
        "runs": [run_of(record) for record in document["runs"]],
    }
    path = folder / RESULTS
    with naming(path):
        write_atomically(path, json_text(content))


def run_of(record: dict[str, Any]) -> dict[str, Any]:
    """Returns what the results say of a run."""
    measures = measures_of(record)
    # A run that diverged at once has no epoch.
    last = record["history"][-1] if record["history"] else {}
    seconds = record["seconds"]["epochs"]
    return {
        "strategy": record["strategy"],
        "seed": record["seed"],
        "accuracy": {
            task: last.get(f"val_{task}_accuracy") for task in record["tasks"]
        },
        "mean_accuracy": measures.get("test_mean_accuracy"),
        "test_loss": measures.get("test_loss"),
        "train_loss": measures.get("train_loss"),
        "conflict_ratio": measures.get("conflict_ratio"),
        "seconds_per_epoch": measures.get("seconds_per_epoch"),
        "history": [
            {**logs, "seconds": duration}
            for logs, duration in zip(record["history"], seconds, strict=True)
        ],
    }


def table(document: dict[str, Any]) -> Any:
    """Returns a rich table with a row for each strategy."""
    from rich import box
    from rich.table import Table

    seeds = len({run["seed"] for run in document["runs"]})
    # Narrow enough for a terminal of 80 columns.
    rendered = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    rendered.title = f"Test images, last epoch, {seeds} " + (
        "seed" if seeds == 1 else "seeds: mean ± standard deviation"
    )
    rendered.add_column("strategy", no_wrap=True)
    for name in COLUMNS:
        rendered.add_column(name, justify="right", no_wrap=True)
    for row in document["summary"]:
        cells = [row["strategy"]]
        for measure, factor, form in COLUMNS.values():
            spread = row["measures"].get(measure, {})
            mean = spread.get("mean")
            deviation = spread.get("standard_deviation")
            cell = "–" if mean is None else format(factor * mean, form)
            if deviation is not None and measure != "seconds_per_epoch":
                cell += f" ± {format(factor * deviation, form)}"
            cells.append(cell)
        rendered.add_row(*cells)
    return rendered


def plot(folder: Path, document: dict[str, Any]) -> None:
    """Draws accuracy by epoch, and how often gradients conflict, as a PNG.

    Args:
        folder: The folder of the results.
        document: What `ComparisonFolder.collect` returns.
    """
    from matplotlib.ticker import PercentFormatter

    figure = new_figure((10, 4))
    accuracy, conflicts = figure.subplots(1, 2)
    backend = document["settings"]["backends"][0]
    values = epochs_of(document, backend).get("test_mean_accuracy", {})
    for index, (strategy, runs) in enumerate(values.items()):
        if points := points_of(runs):
            draw_seeds(accuracy, index, points, strategy)
    ratios: dict[str, list[float]] = {}
    for run in document["runs"]:
        ratio = measures_of(run).get("conflict_ratio")
        if ratio is not None:
            ratios.setdefault(run["strategy"], []).append(100.0 * ratio)
    finish(
        accuracy,
        "epoch (shaded: range over the seeds)",
        "test accuracy, mean of the tasks",
    )
    # As percentages, as in the table.
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0))
    if values:
        accuracy.legend(frameon=False)
    texts = [f"{statistics.fmean(seeds):.0f}" for seeds in ratios.values()]
    draw_bars(conflicts, list(ratios), list(ratios.values()), texts)
    conflicts.set_xlabel("batches with conflicting gradients (%; dots: seeds)")
    figure.suptitle(f"Two overlapping digits, Keras on {backend}")
    path = folder / PLOT
    with naming(path), replaced_at_once(path) as temporary:
        figure.savefig(temporary, dpi=150)
