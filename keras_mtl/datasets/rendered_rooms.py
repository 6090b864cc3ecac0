"""Rooms that are rendered: labels, depth and normals without a download."""

from collections.abc import Sequence

import numpy as np

from keras_mtl.datasets.recipes import read_arrays
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.rendered_rooms")
def rendered_rooms(
    split: str = "train",
    *,
    num_train: int = 2000,
    num_test: int = 500,
    image_size: Sequence[int] = (64, 64),
    seed: int = 0,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Renders rooms with objects: segmentation, depth and surface normals.

    A stand-in for NYUv2, with the same three tasks, made by NumPy in seconds.
    Each image shows a room of random size with boxes, balls and columns, in
    random colours and patterns that say nothing about what they are on, in
    the light of a lamp, as a camera sees it that is turned at random. There
    are no shadows. Labels are exact: rays are cast to the surfaces
    themselves. Images have Gaussian noise, of 0.02.

    As with depth cameras, pixels farther away than 7 m are unknown, and so
    are those next to an object that is nearer to the camera by 15 % or more.
    They are unknown to all three tasks.

    Args:
        split: `"train"` or `"test"`. Defaults to `"train"`.
        num_train: Number of training images. Defaults to `2000`.
        num_test: Number of test images. Defaults to `500`.
        image_size: Height and width. Defaults to `(64, 64)`.
        seed: Seed of scenes and noise, an integer of at least 0. Defaults to
            `0`. The first images do not depend on how many there are.

    Returns:
        `(x, y)`: float32 images in [0, 1] of shape `(n, height, width, 3)`,
        and a dict of

        - `"segmentation"`: int32, `(n, height, width)`: 0 floor, 1 wall,
          2 ceiling, 3 box, 4 ball, 5 column; -1 where unknown;
        - `"depth"`: float32, `(n, height, width, 1)`: metres along the axis
          of the camera; 0 where unknown;
        - `"normal"`: float32, `(n, height, width, 3)`: unit vectors towards
          the camera, in its frame: x to the right, y down, z ahead; 0 where
          unknown.

        The field of view is 70 degrees from left to right.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    ```python
    x, y = keras_mtl.datasets.rendered_rooms(num_train=10)
    x.shape  # (10, 64, 64, 3)
    y["depth"].shape  # (10, 64, 64, 1)
    ```

    References:
        N. Silberman, D. Hoiem, P. Kohli and R. Fergus, Indoor Segmentation
        and Support Inference from RGBD Images, ECCV 2012, for NYUv2. Normals
        of other code may point elsewhere: check before comparing.
    """
    return read_arrays(
        "rendered_rooms",
        split,
        num_train=num_train,
        num_test=num_test,
        image_size=image_size,
        seed=seed,
    )
