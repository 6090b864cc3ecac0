"""CelebA: forty tasks on images of faces."""

import os
from collections.abc import Sequence

import numpy as np

from keras_mtl.datasets.recipes import read_arrays
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.celeba_attributes")
def celeba_attributes(
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    image_size: Sequence[int] = (64, 64),
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Reads CelebA as a problem of 40 tasks, one for each attribute.

    The original files, which must be got by hand; the message that says so
    without them has the address. At 64 x 64 all training images take 8 GB of
    memory: use `load` with `backend_native="pydataset"` to read batch by
    batch.

    Args:
        split: `"train"` (162,770 images), `"validation"` (19,867) or `"test"`
            (19,962), as published. Defaults to `"train"`.
        data_dir: Folder with the folder `celeba`, with `img_align_celeba`,
            `list_attr_celeba.txt` and `list_eval_partition.txt`.
        image_size: Height and width to which the aligned pictures of 218 x
            178 are resized. Defaults to `(64, 64)`.

    Returns:
        `(x, y)`: float32 images in [0, 1] of shape `(n, height, width, 3)`,
        and int32 labels `(n,)`, 0 or 1, by attribute: `y["Smiling"]`.

    Raises:
        FileNotFoundError: If files are missing.
        ImportError: If Pillow is not installed.
        ValueError: If a file is not as it should be. The message names it.

    Example:

    ```python
    # x, y = keras_mtl.datasets.celeba_attributes("test", data_dir="data")
    ```

    References:
        - [Liu et al., 2015](https://arxiv.org/abs/1411.7766), for CelebA.
        - [Sener and Koltun, 2018](https://arxiv.org/abs/1810.04650), who
            made it a multi-task problem at 64 x 64.
    """
    return read_arrays(
        "celeba_attributes",
        split,
        data_dir,
        image_size=image_size,
    )
