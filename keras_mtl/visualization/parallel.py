"""Points of many dimensions as lines over parallel axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mtl.visualization.canvas import COLOURS
from keras_mtl.visualization.canvas import finish

#: That of lines which are not marked.
FAINT = COLOURS[-1]


def draw_parallel(
    axes: Any,
    losses: np.ndarray,
    names: Sequence[str],
    is_marked: np.ndarray,
    best: int,
) -> None:
    """Draws each point as a line, from its best value, 0, to the worst, 1.

    Args:
        axes: Matplotlib axes.
        losses: Array `[N, K]`, lower is better.
        names: What the columns are.
        is_marked: Which points are drawn in colour.
        best: Index of the point that is drawn wider.
    """
    low, high = losses.min(axis=0), losses.max(axis=0)
    places = np.arange(len(names))
    shares = (losses - low) / np.where(high > low, high - low, 1.0)
    for index, line in enumerate(shares):
        marked = bool(is_marked[index])
        axes.plot(
            places,
            line,
            color=COLOURS[0] if marked else FAINT,
            linewidth=3.0 if index == best else 1.0,
            alpha=1.0 if marked else 0.5,
            zorder=2 + marked,
        )
    axes.set_xticks(places, names)
    axes.set_yticks([0.0, 1.0], ["best", "worst"])
    finish(axes, "", "")
