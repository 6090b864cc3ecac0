"""The trade-offs between two tasks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mtl.export import keras_mtl_export
from keras_mtl.visualization.canvas import COLOURS
from keras_mtl.visualization.canvas import axes_of
from keras_mtl.visualization.canvas import checked_array
from keras_mtl.visualization.canvas import finish
from keras_mtl.visualization.canvas import ink


@keras_mtl_export("keras_mtl.visualization.plot_pareto_front")
def plot_pareto_front(
    points: Any,
    labels: Sequence[str],
    reference: Any = None,
    higher_is_better: bool = False,
    tasks: Sequence[str] = ("first task", "second task"),
    ax: Any = None,
) -> Any:
    """Draws models by two metrics, and which of them no other one beats.

    A point is beaten by one that is no worse in both and better in one. Those
    that are not beaten are filled, and joined by the border of what they
    beat.

    Args:
        points: Array `[N, 2]` of finite numbers: a row for each model.
        labels: A name for each model.
        reference: Optional point; the area between it and the front, whose
            size is `keras_mtl.metrics.hypervolume`, is shaded. Defaults to
            `None`.
        higher_is_better: Whether both metrics are better if they are higher.
            Defaults to `False`: losses or errors.
        tasks: What the two columns are. Defaults to
            `("first task", "second task")`.
        ax: Matplotlib axes to draw on. Defaults to `None`: a new figure.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If shapes do not fit, or a number is not finite.

    Example:

    ```python
    figure = keras_mtl.visualization.plot_pareto_front(
        [[0.1, 0.3], [0.15, 0.2], [0.3, 0.25]],
        ["ew", "db_mtl", "uw"],
        tasks=["left error", "right error"],
    )
    ```
    """
    points = checked_array("points", points, (len(labels), 2))
    if not np.all(np.isfinite(points)):
        raise ValueError(
            "Argument `points` must be finite: leave out models that failed."
        )
    sign = -1.0 if higher_is_better else 1.0
    losses = sign * points
    is_beaten = beaten(losses)
    front = np.unique(losses[~is_beaten], axis=0)
    if reference is not None:
        reference = checked_array("reference", reference, (2,))
    axes = axes_of(ax)
    _draw_front(axes, front, sign, reference)
    axes.scatter(*points[~is_beaten].T, color=COLOURS[0], zorder=3)
    axes.scatter(
        *points[is_beaten].T, facecolor="none", edgecolor=COLOURS[0], zorder=3
    )
    for label, point in zip(labels, points, strict=True):
        _annotate(axes, label, point)
    # Room for the names.
    axes.margins(0.15)
    finish(axes, tasks[0], tasks[1])
    return axes.figure


def beaten(losses: np.ndarray) -> np.ndarray:
    """Returns for each row whether another is no worse and once better.

    Args:
        losses: Array `[N, K]`, lower is better.
    """
    # [point, other point]
    no_worse = np.all(losses[None] <= losses[:, None], axis=-1)
    better = np.any(losses[None] < losses[:, None], axis=-1)
    return np.any(no_worse & better, axis=1)


def _draw_front(
    axes: Any, front: np.ndarray, sign: Any, reference: Any
) -> None:
    """Draws the border of what the front beats, and the area behind it."""
    if reference is not None:
        worst = sign * reference
        inside = front[np.all(front < worst, axis=1)]
        if len(inside):
            x = np.append(inside[:, 0], worst[0])
            y = np.append(inside[:, 1], inside[-1, 1])
            axes.fill_between(
                sign * x,
                sign * y,
                reference[1],
                step="post",
                color=COLOURS[0],
                alpha=0.15,
                linewidth=0,
            )
        axes.plot(*reference, "x", color=ink(axes))
        _annotate(axes, "reference", reference)
    axes.step(*(sign * front).T, where="post", color=COLOURS[0], linewidth=1)


def _annotate(axes: Any, label: str, point: Any) -> None:
    axes.annotate(
        label, point, xytext=(5, 5), textcoords="offset points", fontsize=9
    )
