"""The losses of all tasks, over epochs, of one run or several."""

from collections.abc import Sequence
from typing import Any

from keras_mtl.export import keras_mtl_export
from keras_mtl.visualization.canvas import COLOURS
from keras_mtl.visualization.canvas import add_legend
from keras_mtl.visualization.canvas import draw_curve
from keras_mtl.visualization.canvas import finish
from keras_mtl.visualization.canvas import ink
from keras_mtl.visualization.canvas import legend_entries
from keras_mtl.visualization.canvas import new_figure
from keras_mtl.visualization.canvas import runs_of

PREFIX = "val_"


@keras_mtl_export("keras_mtl.visualization.plot_losses")
def plot_losses(histories: Any) -> Any:
    """Draws the loss of each task in a panel of its own.

    Solid lines are training, dashed ones validation; colours are runs. Tasks
    whose losses differ in size do not hide each other.

    Args:
        histories: What `fit` returns (or its dict `history`), or a dict of
            several by the name of the run.

    Returns:
        The `matplotlib.figure.Figure`, with a panel for every entry of the
        logs that ends in `"loss"`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there are no losses.

    Example:

    ```python
    figure = keras_mtl.visualization.plot_losses(
        {
            "ew": {"left_loss": [1.0, 0.6], "right_loss": [9.0, 8.5]},
            "db_mtl": {"left_loss": [1.0, 0.7], "right_loss": [9.0, 7.1]},
        }
    )
    ```
    """
    runs = runs_of("histories", histories)
    names = [
        name
        for logs in runs.values()
        for name in logs
        if name.endswith("loss") and not name.startswith(PREFIX)
    ]
    names = list(dict.fromkeys(names))
    if not names:
        raise ValueError(
            "Argument `histories` has no losses. It has: "
            f"{sorted(set().union(*runs.values()))}"
        )
    figure = new_figure((1.5 + 2.9 * len(names), 3.0))
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for name, axes in zip(names, panels, strict=True):
        for index, (run, logs) in enumerate(runs.items()):
            if name in logs:
                draw_curve(axes, index, logs[name], run)
            if PREFIX + name in logs:
                _draw_validation(axes, index, logs[PREFIX + name])
        axes.set_title(name.replace("_", " "), fontsize=10)
        finish(axes, "epoch", "")
    _add_legend(panels)
    return figure


def _draw_validation(axes: Any, index: int, values: Sequence[float]) -> None:
    # In runs with `validation_freq` the epochs are not known.
    axes.plot(
        range(1, len(values) + 1),
        values,
        "--",
        color=COLOURS[index % len(COLOURS)],
    )


def _add_legend(panels: Any) -> None:
    from matplotlib.lines import Line2D

    entries = legend_entries(panels)
    lines = [line for axes in panels for line in axes.get_lines()]
    if any(line.get_linestyle() == "--" for line in lines):
        colour = ink(panels[-1])
        entries["validation"] = Line2D([], [], color=colour, linestyle="--")
    if len(entries) > 1:
        add_legend(panels[-1], list(entries.values()), list(entries))
