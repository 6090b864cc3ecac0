"""Which tasks pull against each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mtl.export import keras_mtl_export
from keras_mtl.visualization.canvas import axes_of
from keras_mtl.visualization.canvas import checked_array


@keras_mtl_export("keras_mtl.visualization.plot_conflicts")
def plot_conflicts(cosines: Any, tasks: Sequence[str], ax: Any = None) -> Any:
    """Draws the cosines between the tasks' gradients as a matrix.

    Red is conflict, blue agreement, white a right angle; every cell has its
    number. Entries that are NaN, of tasks without labels, are grey.

    Args:
        cosines: Array `[K, K]` of numbers in [-1, 1], or NaN.
        tasks: Names of the K tasks.
        ax: Matplotlib axes to draw on. Defaults to `None`: a new figure.

    Returns:
        The `matplotlib.figure.Figure`; `savefig` writes it to a file.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If `cosines` is no such array.

    Example:

    ```python
    figure = keras_mtl.visualization.plot_conflicts(
        [[1.0, -0.3], [-0.3, 1.0]], ["depth", "normals"]
    )
    figure.savefig("conflicts.png")
    ```
    """
    cosines = checked_array("cosines", cosines, (len(tasks), len(tasks)))
    # Rounding takes cosines of float32 a little over 1.
    if np.any(np.abs(cosines) > 1.0 + 1e-3):
        raise ValueError(
            "Argument `cosines` must be in [-1, 1]: divide inner products by "
            "both norms. Received a number of size "
            f"{np.nanmax(np.abs(cosines))}"
        )
    side = 1.8 + 0.6 * len(tasks)
    axes = axes_of(ax, (side + 0.8, side))
    from matplotlib import colormaps

    colours = colormaps["RdBu"].with_extremes(bad="#bbbbbb")
    image = axes.imshow(
        np.ma.masked_invalid(cosines), cmap=colours, vmin=-1.0, vmax=1.0
    )
    for (row, column), cosine in np.ndenumerate(cosines):
        if np.isfinite(cosine):
            axes.text(
                column,
                row,
                # No minus before what rounds to 0.
                f"{round(cosine, 2) + 0.0:.2f}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if abs(cosine) > 0.6 else "black",
            )
    axes.set_xticks(
        range(len(tasks)),
        tasks,
        rotation=45,
        ha="right",
        rotation_mode="anchor",
    )
    axes.set_yticks(range(len(tasks)), tasks)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.figure.colorbar(image, ax=axes, label="cosine of gradients")
    return axes.figure
