"""A handwritten digit that overlaps an item of clothing."""

import os

import numpy as np

from keras_mtl.datasets.recipes import read_arrays
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.multi_fashion_mnist")
def multi_fashion_mnist(
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    num_train: int = 120_000,
    num_test: int = 20_000,
    seed: int = 0,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Overlays an MNIST digit and a Fashion-MNIST item: unequal tasks.

    Made like `keras_mtl.datasets.multi_mnist`, with the digit on the top left
    (task `"left"`) and the item of clothing on the bottom right (task
    `"right"`). The second task is much the harder.

    Args:
        split: `"train"` or `"test"`. Defaults to `"train"`.
        data_dir: Folder with the folders `mnist` and `fashion_mnist` of IDX
            files. Defaults to `None`: TensorFlow Datasets downloads them,
            once.
        num_train: Number of training images. Defaults to `120000`.
        num_test: Number of test images. Defaults to `20000`.
        seed: Seed of the pairs, an integer of at least 0. Defaults to `0`.

    Returns:
        `(x, y)` as `multi_mnist` returns them.

    Example:

    ```python
    x, y = keras_mtl.datasets.multi_fashion_mnist("test")
    x.shape  # (20000, 36, 36, 1)
    ```

    References:
        - [Lin et al., 2019](https://arxiv.org/abs/1912.12854).
        - [Xiao et al., 2017](https://arxiv.org/abs/1708.07747), for
            Fashion-MNIST.
    """
    return read_arrays(
        "multi_fashion_mnist",
        split,
        data_dir,
        num_train=num_train,
        num_test=num_test,
        seed=seed,
    )
