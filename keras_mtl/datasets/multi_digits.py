"""Two overlapping handwritten digits, without a download."""

from typing import Any

import numpy as np

from keras_mtl.datasets.overlaid_images import overlaid_images
from keras_mtl.export import keras_mtl_export

CANVAS = 20
"""Side of the images."""

SCALE = 2
"""Every pixel of a scan becomes a square of this side."""

TEST_SHARE = 0.3
"""Share of the scans of each digit that only the test set uses."""


@keras_mtl_export("keras_mtl.datasets.multi_digits")
def multi_digits(
    num_train: int = 4000,
    num_test: int = 2000,
    seed: int = 0,
    return_sources: bool = False,
) -> tuple[Any, ...]:
    """Makes images of two overlapping digits: two classification tasks.

    In the manner of Multi-MNIST, each image shows two handwritten digits: one
    in the top left corner (task `"left"`), one in the bottom right corner
    (task `"right"`). Where they overlap the brighter pixel wins. The digits
    are the 1,797 scans of 8 x 8 pixels that come with scikit-learn, so nothing
    is downloaded; each is enlarged to 16 x 16 pixels on a canvas of 20 x 20.

    The scans are divided first, by digit, and the pairs are drawn afterwards:
    no scan appears in both the training and the test images.

    Args:
        num_train: Number of training images. Defaults to `4000`.
        num_test: Number of test images. Defaults to `2000`.
        seed: Seed of both the division of the scans and the pairs. Defaults
            to `0`.
        return_sources: Whether to return which scans each image shows.
            Defaults to `False`.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: float32 images in [0, 1] of
        shape `(n, 20, 20, 1)`, and dictionaries `{"left": ..., "right": ...}`
        of integer labels of shape `(n,)`. With `return_sources=True`, a third
        item `(train_sources, test_sources)`: arrays of shape `(n, 2)` with the
        positions, in `sklearn.datasets.load_digits()`, of the left and the
        right scan.

    Example:

    ```python
    (x_train, y_train), (x_test, y_test) = keras_mtl.datasets.multi_digits()
    x_train.shape  # (4000, 20, 20, 1)
    sorted(y_train)  # ["left", "right"]
    ```

    References:
        - [Sabour et al., 2017](https://arxiv.org/abs/1710.09829), who
            overlaid MNIST digits.
        - [Sener and Koltun, 2018](https://arxiv.org/abs/1810.04650), who made
            that a multi-task problem.
        - [scikit-learn's digits](
            https://doi.org/10.24432/C50P49), the test set of the "Optical
            Recognition of Handwritten Digits" data of E. Alpaydin and
            C. Kaynak, UCI Machine Learning Repository.
    """
    for name, value in (("num_train", num_train), ("num_test", num_test)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(
                f"Argument `{name}` must be a positive integer. Received: "
                f"{name}={value!r}."
            )
    scans, labels = _load_scans()
    generator = np.random.default_rng(seed)
    pools = _split(labels, generator)
    sets, sources = [], []
    for pool, size in zip(pools, (num_train, num_test), strict=True):
        pairs = generator.choice(pool, size=(size, 2))
        left, right = pairs[:, 0], pairs[:, 1]
        images = overlaid_images(
            _enlarge(scans[left]), _enlarge(scans[right]), CANVAS
        )
        sets.append((images, {"left": labels[left], "right": labels[right]}))
        sources.append(pairs)
    if return_sources:
        return sets[0], sets[1], (sources[0], sources[1])
    return sets[0], sets[1]


def _load_scans() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "`keras_mtl.datasets.multi_digits` uses the digits that come with "
            "scikit-learn. Install it with `pip install scikit-learn`."
        ) from error
    digits = load_digits()
    scans = (digits.images / 16.0).astype("float32")
    return scans, digits.target.astype("int32")


def _split(
    labels: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Divides the scans of each digit, so that both sides have all digits."""
    train, test = [], []
    for digit in np.unique(labels):
        scans = generator.permutation(np.flatnonzero(labels == digit))
        held_out = round(TEST_SHARE * len(scans))
        test.append(scans[:held_out])
        train.append(scans[held_out:])
    return np.concatenate(train), np.concatenate(test)


def _enlarge(scans: np.ndarray) -> np.ndarray:
    return scans.repeat(SCALE, axis=1).repeat(SCALE, axis=2)
