"""Batches of samples that are made or read when they are needed."""

from typing import Any

import keras
import numpy as np

from keras_mtl.arguments import checked_integer
from keras_mtl.datasets.recipe import Samples
from keras_mtl.datasets.task_sources import generator_of


class SampleBatches(keras.utils.PyDataset):
    """Cuts batches, in a new order in each epoch.

    Which samples are in a batch depends on the seed, on how many epochs have
    ended and on its index alone.

    Args:
        samples: The samples of a split.
        batch_size: Samples of a batch; the last may be smaller. Defaults to
            `32`.
        shuffle: Whether the order changes. Defaults to `True`.
        seed: Integer of at least 0. Defaults to `0`.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of
            `keras.utils.PyDataset`.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.samples = samples
        self.batch_size = checked_integer("batch_size", batch_size)
        self.shuffle = bool(shuffle)
        self.seed = checked_integer("seed", seed, low=0)
        self._epoch = 0
        self._order = self._new_order()

    def __len__(self) -> int:
        return -(-len(self.samples) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, dict[str, np.ndarray]]:
        if not 0 <= index < len(self):
            raise IndexError(
                f"There are {len(self)} batches. Received: index={index}"
            )
        start = index * self.batch_size
        return self.samples.take(self._order[start : start + self.batch_size])

    def on_epoch_end(self) -> None:
        self._epoch += 1
        if self.shuffle:
            self._order = self._new_order()

    def _new_order(self):
        size = len(self.samples)
        if not self.shuffle:
            return np.arange(size)
        return generator_of(self.seed, "order", self._epoch).permutation(size)
