"""Office-31: a task per domain, each with inputs of its own."""

import os
from collections.abc import Sequence

import numpy as np

from keras_mtl.datasets.recipes import read_arrays
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.office31")
def office31(
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    image_size: Sequence[int] = (224, 224),
    seed: int = 0,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reads Office-31: 31 classes, and a task per domain.

    4,110 pictures of products, from a shop and from two cameras. The tasks
    are the domains `amazon`, `dslr` and `webcam`. They share classes, not
    inputs: hand the result to `keras_mtl.datasets.MultiTaskDataset`.

    The pictures must be got by hand; the message that says so without them
    has the address. Of each class of each domain, 60 % are for training, 20 %
    for validation and the rest for testing, divided by `seed`: shares as in
    LibMTL and the papers that use it, which have lists of their own.

    Args:
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        data_dir: Folder with the folder `office31`, in which there are folders
            like `amazon/images/back_pack`.
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
        ValueError: If a domain does not have 31 classes, or a file is no
            picture.

    Example:

    ```python
    # domains = keras_mtl.datasets.office31(data_dir="data")
    # dataset = keras_mtl.datasets.MultiTaskDataset(domains, batch_size=64)
    ```

    References:
        K. Saenko, B. Kulis, M. Fritz and T. Darrell, Adapting Visual Category
        Models to New Domains, ECCV 2010.
    """
    return read_arrays(
        "office31",
        split,
        data_dir,
        image_size=image_size,
        seed=seed,
    )
