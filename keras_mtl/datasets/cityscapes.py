"""Cityscapes: two tasks on images of streets."""

import os
from collections.abc import Sequence

import numpy as np

from keras_mtl.datasets.recipes import read_arrays
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.cityscapes")
def cityscapes(
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    num_classes: int = 7,
    image_size: Sequence[int] = (128, 256),
    num_train: int = 2975,
    num_test: int = 500,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Reads Cityscapes as most multi-task papers use it: 128 x 256.

    The preprocessed files of MTAN, which must be got by hand; the message
    that says so without them has the address. The test images are the
    validation images of Cityscapes.

    Args:
        split: `"train"` or `"test"` (their folder `val`). Defaults to
            `"train"`.
        data_dir: Folder with the folder `cityscapes`, with
            `train/image/0.npy`, `train/label_7/0.npy` (or `label_19`),
            `train/depth/0.npy`, and so on, and the same in `val`.
        num_classes: `7` or `19`. Defaults to `7`.
        image_size: Height and width of the files. Defaults to `(128, 256)`.
        num_train: How many training images there must be. Defaults to
            `2975`.
        num_test: How many test images there must be. Defaults to `500`.

    Returns:
        `(x, y)`: float32 images of shape `(n, height, width, 3)`, and a dict
        of

        - `"segmentation"`: int32, `(n, height, width)`; -1 where unknown;
        - `"depth"`: float32, `(n, height, width, 1)`. In fact the disparity,
          which is the inverse of depth; 0 where unknown.

    Raises:
        ValueError: If `num_classes` is another number.
        FileNotFoundError, ValueError: As `keras_mtl.datasets.nyuv2`.

    Example:

    ```python
    # x, y = keras_mtl.datasets.cityscapes("test", data_dir="data")
    ```

    References:
        - [Cordts et al., 2016](https://arxiv.org/abs/1604.01685).
        - [Liu et al., 2019](https://arxiv.org/abs/1803.10704), MTAN, who
            preprocessed it.
    """
    return read_arrays(
        "cityscapes",
        split,
        data_dir,
        num_classes=num_classes,
        image_size=image_size,
        num_train=num_train,
        num_test=num_test,
    )
