"""How much each task counts, over time."""

from collections.abc import Sequence
from typing import Any

from keras_mtl.export import keras_mtl_export
from keras_mtl.visualization.canvas import add_legend
from keras_mtl.visualization.canvas import axes_of
from keras_mtl.visualization.canvas import checked_array
from keras_mtl.visualization.canvas import draw_curve
from keras_mtl.visualization.canvas import finish


@keras_mtl_export("keras_mtl.visualization.plot_task_weights")
def plot_task_weights(
    weights: Any,
    tasks: Sequence[str],
    xlabel: str = "epoch",
    ax: Any = None,
) -> Any:
    """Draws the weights of the tasks as curves.

    Args:
        weights: Array `[T, K]`: at each of T times one weight per task. Or
            what `fit` returns, or a dict, with a list for each name in
            `tasks`, or for the name followed by `"_weight"`, as
            `keras_mtl.callbacks.TaskMonitor` writes it.
        tasks: Names of the K tasks, or of the K entries of the logs.
        xlabel: What is counted from left to right. Defaults to `"epoch"`.
        ax: Matplotlib axes to draw on. Defaults to `None`: a new figure.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If `weights` does not have one column or list per task.

    Example:

    ```python
    figure = keras_mtl.visualization.plot_task_weights(
        [[0.5, 0.5], [0.4, 0.6], [0.3, 0.7]], ["depth", "normals"]
    )
    ```
    """
    logs = getattr(weights, "history", weights)
    if isinstance(logs, dict):
        entries = [task if task in logs else f"{task}_weight" for task in tasks]
        missing = [
            task
            for task, entry in zip(tasks, entries, strict=True)
            if entry not in logs
        ]
        if missing:
            raise ValueError(
                f"Argument `weights` has no lists for {missing}. It has: "
                f"{sorted(logs)}"
            )
        columns: Any = [logs[entry] for entry in entries]
    else:
        columns = checked_array("weights", logs, (None, len(tasks))).T
    axes = axes_of(ax)
    for index, (task, column) in enumerate(zip(tasks, columns, strict=True)):
        draw_curve(axes, index, column, task)
    finish(axes, xlabel, "task weight")
    add_legend(axes)
    return axes.figure
