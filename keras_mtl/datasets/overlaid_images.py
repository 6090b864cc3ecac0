"""Two images on one canvas, in opposite corners."""

import numpy as np


def overlaid_images(
    left: np.ndarray, right: np.ndarray, canvas: int
) -> np.ndarray:
    """Overlays images; where they overlap the brighter pixel wins.

    Args:
        left: Images `[n, side, side]` for the top left corner.
        right: Images of the same shape for the bottom right corner.
        canvas: Side of the result, at least `side`.

    Returns:
        Images `[n, canvas, canvas, 1]` of the same dtype.
    """
    side = left.shape[1]
    images = np.zeros((len(left), canvas, canvas), dtype=left.dtype)
    images[:, :side, :side] = left
    corner = images[:, canvas - side :, canvas - side :]
    np.maximum(corner, right, out=corner)
    return images[..., None]
