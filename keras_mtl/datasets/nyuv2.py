"""NYUv2: three tasks on images of rooms."""

import os
from collections.abc import Sequence

import numpy as np

from keras_mtl.datasets.recipes import read_arrays
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.nyuv2")
def nyuv2(
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    image_size: Sequence[int] = (288, 384),
    num_train: int = 795,
    num_test: int = 654,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Reads NYUv2 as most multi-task papers use it: 288 x 384, 13 classes.

    The preprocessed files of MTAN, which must be got by hand; the message
    that says so without them has the address. All of the training set takes
    2.8 GB of memory: use `load` with `backend_native="pydataset"` to read
    batch by batch.

    Args:
        split: `"train"` or `"test"` (their folder `val`). Defaults to
            `"train"`.
        data_dir: Folder with the folder `nyuv2`, with
            `train/image/0.npy`, `train/label/0.npy`, `train/depth/0.npy`,
            `train/normal/0.npy`, and so on, and the same in `val`.
        image_size: Height and width of the files. Defaults to `(288, 384)`.
        num_train: How many training images there must be. Defaults to `795`.
        num_test: How many test images there must be. Defaults to `654`.

    Returns:
        `(x, y)`: float32 images of shape `(n, height, width, 3)`, and a dict
        of

        - `"segmentation"`: int32, `(n, height, width)`, 0 to 12; -1 where
          unknown;
        - `"depth"`: float32, `(n, height, width, 1)`, in metres; 0 where
          unknown;
        - `"normal"`: float32, `(n, height, width, 3)`; 0 where unknown.

    Raises:
        FileNotFoundError: If files are missing.
        ValueError: If there are too many or too few, or if a file has
            another shape or labels out of range. The message names it.

    Example:

    ```python
    # x, y = keras_mtl.datasets.nyuv2("test", data_dir="data")
    ```

    References:
        - N. Silberman, D. Hoiem, P. Kohli and R. Fergus, Indoor Segmentation
            and Support Inference from RGBD Images, ECCV 2012.
        - [Liu et al., 2019](https://arxiv.org/abs/1803.10704), MTAN, who
            preprocessed it.
    """
    return read_arrays(
        "nyuv2",
        split,
        data_dir,
        image_size=image_size,
        num_train=num_train,
        num_test=num_test,
    )
