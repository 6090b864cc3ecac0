"""Two overlapping handwritten digits."""

import os

import numpy as np

from keras_mtl.datasets.recipes import read_arrays
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.multi_mnist")
def multi_mnist(
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    num_train: int = 120_000,
    num_test: int = 20_000,
    seed: int = 0,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Overlays two MNIST digits: the standard two-task image benchmark.

    Each image of 36 x 36 pixels shows one digit in the top left corner (task
    `"left"`), and one in the bottom right corner (task `"right"`). Where they
    overlap the brighter pixel wins. Training images consist of training
    digits alone, test images of test digits.

    Every digit is in a corner as often as any other, up to one. The pairs
    depend on `seed` and the sizes; they are not those of the published
    pickles, whose generator is not published.

    Args:
        split: `"train"` or `"test"`. Defaults to `"train"`.
        data_dir: Folder with a folder `mnist` of the four IDX files of the
            original distribution, gzipped or not. Defaults to `None`:
            TensorFlow Datasets downloads them once, with TensorFlow.
        num_train: Number of training images. Defaults to `120000`.
        num_test: Number of test images. Defaults to `20000`.
        seed: Seed of the pairs, an integer of at least 0. Defaults to `0`.

    Returns:
        `(x, y)`: float32 images in [0, 1] of shape `(n, 36, 36, 1)`, and
        integer labels `{"left": ..., "right": ...}` of shape `(n,)`.

    Raises:
        FileNotFoundError: If the files are neither there nor can be
            downloaded.
        ImportError: If `data_dir` is left out, and `tensorflow-datasets` is
            not installed.
        ValueError: If an argument is out of range, or a file is not what its
            name says.

    Example:

    ```python
    x, y = keras_mtl.datasets.multi_mnist("test")
    x.shape  # (20000, 36, 36, 1)
    ```

    References:
        - [Sabour et al., 2017](https://arxiv.org/abs/1710.09829). Their code
            shifts both digits by up to 4 pixels, and adds them, clipped at
            white.
        - [Sener and Koltun, 2018](https://arxiv.org/abs/1810.04650). Their
            code places the digits at (0, 0) and (6, 6), takes the maximum,
            and shrinks the result to 28 x 28.
        - [Lin et al., 2019](https://arxiv.org/abs/1912.12854), whose 120,000
            and 20,000 images of 36 x 36 most later work uses, FS-MTL
            included. The code that made them is not published; corners and
            maximum are chosen here.
    """
    return read_arrays(
        "multi_mnist",
        split,
        data_dir,
        num_train=num_train,
        num_test=num_test,
        seed=seed,
    )
