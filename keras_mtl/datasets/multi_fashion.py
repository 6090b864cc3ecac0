"""Two overlapping items of clothing."""

import os

import numpy as np

from keras_mtl.datasets.recipes import read_arrays
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.multi_fashion")
def multi_fashion(
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    num_train: int = 120_000,
    num_test: int = 20_000,
    seed: int = 0,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Overlays two Fashion-MNIST items: harder than `multi_mnist`.

    Made like `keras_mtl.datasets.multi_mnist`, of the items of Fashion-MNIST.
    They fill more of their squares than digits do, and hide more of each
    other.

    Args:
        split: `"train"` or `"test"`. Defaults to `"train"`.
        data_dir: Folder with a folder `fashion_mnist` of IDX files. Defaults
            to `None`: TensorFlow Datasets downloads them, once.
        num_train: Number of training images. Defaults to `120000`.
        num_test: Number of test images. Defaults to `20000`.
        seed: Seed of the pairs, an integer of at least 0. Defaults to `0`.

    Returns:
        `(x, y)` as `multi_mnist` returns them.

    Example:

    ```python
    x, y = keras_mtl.datasets.multi_fashion("test")
    sorted(y)  # ["left", "right"]
    ```

    References:
        - [Lin et al., 2019](https://arxiv.org/abs/1912.12854).
        - [Xiao et al., 2017](https://arxiv.org/abs/1708.07747), for
            Fashion-MNIST.
    """
    return read_arrays(
        "multi_fashion",
        split,
        data_dir,
        num_train=num_train,
        num_test=num_test,
        seed=seed,
    )
