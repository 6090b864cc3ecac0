"""Whether probabilities mean what they say."""

from typing import Any

import numpy as np

from keras_mtl.arguments import checked_integer
from keras_mtl.export import keras_mtl_export
from keras_mtl.visualization.canvas import COLOURS
from keras_mtl.visualization.canvas import axes_of
from keras_mtl.visualization.canvas import checked_array
from keras_mtl.visualization.canvas import finish
from keras_mtl.visualization.canvas import ink


@keras_mtl_export("keras_mtl.visualization.plot_reliability")
def plot_reliability(
    probabilities: Any, labels: Any, num_bins: int = 15, ax: Any = None
) -> Any:
    """Draws how often predictions are right, by how sure the model is.

    Samples are put into bins of equal width by the probability of the class
    that is predicted. Bars that end below the diagonal are too sure. The title
    has the expected calibration error, the mean distance from the diagonal
    weighted by how many samples a bin has; empty bins have no bar.

    Args:
        probabilities: Array `[N, C]` of the probabilities of C classes.
        labels: Array `[N]` of class indices.
        num_bins: Number of bins between 0 and 1. Defaults to `15`.
        ax: Matplotlib axes to draw on. Defaults to `None`: a new figure.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If shapes do not fit, or `probabilities` is not in [0, 1].

    Example:

    ```python
    figure = keras_mtl.visualization.plot_reliability(
        [[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]], [0, 1, 1], num_bins=5
    )
    ```

    References:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017,
        [arXiv:1706.04599](https://arxiv.org/abs/1706.04599).
    """
    num_bins = checked_integer("num_bins", num_bins)
    probabilities = checked_array("probabilities", probabilities, (None, None))
    labels = checked_array("labels", labels, (len(probabilities),))
    # Softmax in float16 may be off by this much.
    if not np.all((probabilities >= 0) & (probabilities <= 1.0 + 1e-3)):
        raise ValueError(
            "Argument `probabilities` must be in [0, 1]: apply softmax to "
            f"logits. Received numbers from {probabilities.min()} to "
            f"{probabilities.max()}"
        )
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == labels
    # A bin includes its upper end, as in the paper.
    bins = np.ceil(confidence * num_bins).astype(int) - 1
    bins = np.clip(bins, 0, num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    filled = counts > 0
    counts = counts[filled]
    accuracy = np.bincount(bins, is_right, num_bins)[filled] / counts
    confident = np.bincount(bins, confidence, num_bins)[filled] / counts
    error = np.sum(counts * np.abs(accuracy - confident)) / len(labels)
    axes = axes_of(ax, (3.8, 3.6))
    axes.bar(
        (np.flatnonzero(filled) + 0.5) / num_bins,
        accuracy,
        width=0.9 / num_bins,
        color=COLOURS[0],
        label="accuracy",
    )
    axes.plot([0, 1], [0, 1], "--", color=ink(axes), label="calibrated")
    axes.plot(confident, accuracy, "o", color=COLOURS[1], label="mean of bin")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title(f"calibration error {100 * error:.1f} %", fontsize=10)
    finish(axes, "confidence", "accuracy")
    axes.legend(frameon=False, loc="upper left")
    return axes.figure
