"""Axes to draw on, and the colours that all plots have in common."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

# Okabe and Ito's colours, told apart with every common colour vision; grey for
# their black, which a dark background hides.
COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#D55E00",
    "#56B4E9",
    "#F0E442",
    "#999999",
)
MARKERS = "osD^vPX*"


def new_figure(size: tuple[float, float]) -> Any:
    """Returns a figure that opens no window.

    Args:
        size: Width and height in inches.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "keras_mtl.visualization needs Matplotlib. Install it with "
            '`pip install "keras-mtl[viz]"`.'
        ) from error
    return Figure(figsize=size, layout="constrained")


def axes_of(ax: Any, size: tuple[float, float] = (4.5, 3.4)) -> Any:
    """Returns the axes that were given, or those of a new figure."""
    return new_figure(size).subplots() if ax is None else ax


def ink(axes: Any) -> Any:
    """Returns the colour of the labels, seen on the user's background."""
    return axes.xaxis.label.get_color()


def draw_curve(
    axes: Any,
    index: int,
    values: Any,
    label: str,
    marker: bool = True,
    places: Any = None,
) -> None:
    """Draws one of several curves, over 1, 2, and so on or over `places`."""
    values = np.asarray(values, dtype="float64")
    axes.plot(
        np.arange(1, len(values) + 1) if places is None else places,
        values,
        color=COLOURS[index % len(COLOURS)],
        # Markers tell curves apart in print, where there is room for them.
        marker=MARKERS[index % len(MARKERS)] if marker else None,
        markevery=max(len(values) // 12, 1),
        markersize=4,
        label=label,
    )
    if places is None:
        axes.xaxis.get_major_locator().set_params(integer=True)


def finish(axes: Any, xlabel: str, ylabel: str) -> None:
    """Labels axes that hold curves, and drops the frame around them."""
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)


def add_legend(axes: Any, *entries: Any) -> None:
    """Adds a legend beside the axes, where it hides nothing."""
    axes.legend(
        *entries, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0)
    )


def logs_of(argument: str, history: Any) -> dict[str, Any]:
    """Returns the lists by name of a `History` or a dict."""
    logs = getattr(history, "history", history)
    if not isinstance(logs, Mapping) or not logs:
        raise ValueError(
            f"Argument `{argument}` must be what `fit` returns, or a dict of "
            f"lists by name, not empty. Received: {argument}={history!r}"
        )
    return dict(logs)


def runs_of(
    argument: str, results: Any, kind: type | tuple[()] = ()
) -> dict[str, Any]:
    """Returns the logs of each run by its name.

    Args:
        argument: Name of the argument, for error messages.
        results: A `History` or a dict of logs, or a dict of several by name.
        kind: A class of results that are no logs, and stay as they are.
            Defaults to none.
    """
    if isinstance(results, kind):
        return {"training": results}
    logs = logs_of(argument, results)
    are_runs = all(
        isinstance(run, kind)
        or isinstance(getattr(run, "history", run), Mapping)
        for run in logs.values()
    )
    if not are_runs:
        return {"training": logs}
    return {
        str(name): run
        if isinstance(run, kind)
        else logs_of(f"{argument}[{name!r}]", run)
        for name, run in logs.items()
    }


def legend_entries(panels: Sequence[Any]) -> dict[str, Any]:
    """Returns handles by label; a run may have no line in the last panel."""
    entries: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        entries.update(zip(labels, handles, strict=True))
    return entries


def checked_array(
    argument: str, values: Any, shape: Sequence[int | None]
) -> np.ndarray:
    """Returns a float array of a shape, where `None` stands for any length."""
    array = np.asarray(values, dtype="float64")
    fits = array.ndim == len(shape) and all(
        expected in (None, length)
        for expected, length in zip(shape, array.shape, strict=True)
    )
    if not fits or not array.size:
        expected = ["any" if length is None else length for length in shape]
        raise ValueError(
            f"Argument `{argument}` must be an array of the shape {expected}, "
            f"not empty. Received: an array of the shape {list(array.shape)}"
        )
    return array
