"""How steeply the tasks' losses rise around the weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.analysis import Sharpness
from keras_mtl.export import keras_mtl_export
from keras_mtl.visualization.canvas import add_legend
from keras_mtl.visualization.canvas import draw_curve
from keras_mtl.visualization.canvas import finish
from keras_mtl.visualization.canvas import legend_entries
from keras_mtl.visualization.canvas import new_figure
from keras_mtl.visualization.canvas import runs_of


@keras_mtl_export("keras_mtl.visualization.plot_sharpness")
def plot_sharpness(results: Any, adaptive: bool = False) -> Any:
    """Draws the SAM gap of each task in a panel of its own.

    Over the radius, for what `keras_mtl.analysis.task_sharpness` measured at
    several of them: a curve that lies low and rises late is what flatness is
    after. Or over the measurements of a training, for a `History` with
    entries of `keras_mtl.callbacks.SharpnessMonitor`. Gaps are in units of
    the task's loss: compare runs within a panel, not tasks.

    Args:
        results: A `keras_mtl.analysis.Sharpness`, or what `fit` returns (or
            its dict `history`); or a dict of several of one kind by the name
            of the run.
        adaptive: Whether to draw adaptive gaps. Defaults to `False`.

    Returns:
        The `matplotlib.figure.Figure`, with a panel for each task.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there are no such gaps, or results of both kinds.

    Example:

    ```python
    import numpy as np

    radii = (0.0, 0.05, 0.1)
    figure = keras_mtl.visualization.plot_sharpness(
        {
            name: keras_mtl.analysis.Sharpness(
                tasks=("left", "right"),
                losses=np.ones(2),
                rho=radii,
                gaps=slope * np.array([radii, radii]),
                adaptive_rho=(),
                adaptive_gaps=np.empty((2, 0)),
                eigenvalues=None,
                residuals=None,
            )
            for name, slope in {"ew": 3.0, "fs_mtl": 1.0}.items()
        }
    )
    ```
    """
    runs = runs_of("results", results, Sharpness)
    kinds = {isinstance(run, Sharpness) for run in runs.values()}
    if len(kinds) > 1:
        raise ValueError(
            "Argument `results` must have results of one kind: all of them "
            "Sharpness, or all what `fit` returns. Received both."
        )
    if kinds == {True}:
        curves = {name: _by_radius(run, adaptive) for name, run in runs.items()}
        xlabel = "adaptive radius" if adaptive else "radius"
    else:
        curves = {name: _by_epoch(run, adaptive) for name, run in runs.items()}
        xlabel = "measurement"
    tasks = list(dict.fromkeys(task for run in curves.values() for task in run))
    if not tasks:
        raise ValueError(
            "Argument `results` has no "
            f"{'adaptive ' if adaptive else ''}SAM gaps. Measure them with a "
            f"`{'adaptive_' if adaptive else ''}rho`: by "
            "keras_mtl.analysis.task_sharpness, or while training by "
            "keras_mtl.callbacks.SharpnessMonitor."
        )
    figure = new_figure((1.5 + 2.9 * len(tasks), 3.0))
    panels = figure.subplots(1, len(tasks), squeeze=False)[0]
    for task, axes in zip(tasks, panels, strict=True):
        for index, (run, of_task) in enumerate(curves.items()):
            if task in of_task:
                places, gaps = of_task[task]
                draw_curve(axes, index, gaps, run, places=places)
        axes.set_title(task, fontsize=10)
        finish(axes, xlabel, "")
        axes.set_ylim(bottom=min(axes.get_ylim()[0], 0.0))
    panels[0].set_ylabel("adaptive SAM gap" if adaptive else "SAM gap")
    if len(curves) > 1:
        entries = legend_entries(panels)
        add_legend(panels[-1], list(entries.values()), list(entries))
    return figure


def _by_radius(sharpness: Sharpness, adaptive: bool) -> dict[str, Any]:
    """For each task, radii and gaps."""
    rho, gaps = sharpness.rho, sharpness.gaps
    if adaptive:
        rho, gaps = sharpness.adaptive_rho, sharpness.adaptive_gaps
    order = np.argsort(rho)
    return {
        task: (np.asarray(rho)[order], gaps[k][order])
        for k, task in enumerate(sharpness.tasks)
        if len(rho)
    }


def _by_epoch(logs: Mapping[str, Any], adaptive: bool) -> dict[str, Any]:
    """For each task, `None` and gaps."""
    suffix = "_adaptive_sam_gap" if adaptive else "_sam_gap"
    return {
        name.removesuffix(suffix): (None, values)
        for name, values in logs.items()
        if name.endswith(suffix)
        and (adaptive or not name.endswith("_adaptive_sam_gap"))
    }
