"""Office-Home: a task per domain, each with inputs of its own."""

import os
from collections.abc import Sequence

import numpy as np

from keras_mtl.datasets.recipes import read_arrays
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

    Got by hand and divided as `keras_mtl.datasets.office31` is.

    Args:
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        data_dir: Folder with the folder `office_home`, in which there are
            folders like `Art/Alarm_Clock`.
        image_size: Height and width to which pictures are resized. Defaults
            to `(224, 224)`.
        seed: Seed of the division. Defaults to `0`.

    Returns:
        Dict from domains to `(x, y)`, as `office31` returns them.

    Raises:
        ValueError: If a domain does not have 65 classes.
        FileNotFoundError, ImportError: As `office31`.

    Example:

    ```python
    # domains = keras_mtl.datasets.office_home(data_dir="data")
    # dataset = keras_mtl.datasets.MultiTaskDataset(domains, batch_size=64)
    ```

    References:
        [Venkateswara et al., 2017](https://arxiv.org/abs/1706.07522).
    """
    return read_arrays(
        "office_home",
        split,
        data_dir,
        image_size=image_size,
        seed=seed,
    )
