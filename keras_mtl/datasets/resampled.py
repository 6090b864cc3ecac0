"""Samples that are drawn anew during training."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_mtl.arguments import checked_integer
from keras_mtl.export import keras_mtl_export


@keras_mtl_export("keras_mtl.datasets.Resampled")
class Resampled:
    """A source of `MultiTaskDataset` that a function draws anew.

    What it draws depends on the `seed` of the data set, the task and the number
    of the epoch alone, so that training goes on from a checkpoint with the
    samples that an uninterrupted run has.

    Args:
        function: Called with a `numpy.random.Generator`; returns what a source
            of arrays is: inputs, or a tuple `(x, y)` or `(x, y,
            sample_weight)`, always of as many samples.
        every: After how many epochs samples are drawn anew. Defaults to `1`.

    Raises:
        ValueError: If an argument is not as described.

    Example:

    ```python
    def inside(generator):
        return generator.uniform(size=(64, 2))

    dataset = keras_mtl.datasets.MultiTaskDataset(
        {"residual": keras_mtl.datasets.Resampled(inside, every=10)}
    )
    ```
    """

    def __init__(
        self, function: Callable[[np.random.Generator], Any], every: int = 1
    ):
        if not callable(function):
            raise ValueError(
                "Argument `function` must take a numpy.random.Generator and "
                f"return samples. Received: {function!r}."
            )
        self.function = function
        self.every = int(checked_integer("every", every))
