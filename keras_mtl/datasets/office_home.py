"""Office-Home: a task per domain, each with inputs of its own."""

import os
from collections.abc import Sequence

import numpy as np

from keras_mtl.datasets.domain_folders import DOMAINS
from keras_mtl.datasets.recipes import RECIPES
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.office_home")
def office_home(
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    image_size: Sequence[int] = (224, 224),
    seed: int = 0,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reads Office-Home: 65 classes, and a task per domain.

    15,500 pictures in four styles. The tasks are the domains `Art`,
    `Clipart`, `Product` and `Real_World`. They share classes, not inputs:
    hand the result to `keras_mtl.datasets.MultiTaskDataset`.

    The pictures must be got by hand; the message that says so without them
    has the address. Of each class of each domain, 60 % are for training, 20 %
    for validation and the rest for testing, divided by `seed`: shares as in
    LibMTL and the papers that use it, which have lists of their own.

    Args:
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        data_dir: Folder with the folder `office_home`, in which there are
            folders like `Art/Alarm_Clock`.
        image_size: Height and width to which pictures are resized. Defaults
            to `(224, 224)`.
        seed: Seed of the division, an integer of at least 0. Defaults to
            `0`.

    Returns:
        Dict from domains to `(x, y)`: float32 images in [0, 1] of shape
        `(n, height, width, 3)`, with n of each domain, and int32 labels
        `(n,)`, the number of the class in alphabetical order.

    Raises:
        FileNotFoundError: If folders are missing.
        ImportError: If Pillow is not installed.
        ValueError: If a domain does not have 65 classes, or a file is no
            picture.

    Example:

    ```python
    # domains = keras_mtl.datasets.office_home(data_dir="data")
    # dataset = keras_mtl.datasets.MultiTaskDataset(domains, batch_size=64)
    ```

    References:
        [Venkateswara et al., 2017](https://arxiv.org/abs/1706.07522).
    """
    return {
        domain: RECIPES["office_home"](
            domain=domain, image_size=image_size, seed=seed
        ).arrays(split, data_dir)
        for domain in DOMAINS["office_home"]
    }
