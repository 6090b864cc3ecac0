"""One batch of data."""

import dataclasses
from typing import Any

import keras
from keras import ops

from keras_mtl.typing import Tensor


@dataclasses.dataclass
class Batch:
    """One batch, as the trainer hands it over."""

    x: Any
    y: Any
    sample_weight: Any

    @property
    def has_samples(self) -> Tensor:
        """Bool scalar: there are samples, as far as that is not yet known."""
        return ops.all(
            ops.stack(
                [
                    ops.greater(ops.shape(array)[0], 0)
                    for array in keras.tree.flatten(self.x)
                    if array is not None
                ]
            )
        )

    def part(self, index: int, count: int) -> "Batch":
        """Every `count`-th sample, from `index` on."""
        # TensorFlow may learn some later only.
        sizes = [
            array.shape[0]
            for array in keras.tree.flatten(self.x)
            if array is not None and isinstance(array.shape[0], int)
        ]
        size = min(sizes, default=count)
        if size < count:
            raise ValueError(
                f"The strategy splits each batch into {count} parts "
                "(`samples` of its aggregator), which takes at least as many "
                f"samples. Received: a batch of {size}. Take another "
                "`batch_size`, or leave out a short last batch."
            )

        def cut(data: Any) -> Any:
            return keras.tree.map_structure(
                lambda array: None if array is None else array[index::count],
                data,
            )

        return Batch(cut(self.x), cut(self.y), cut(self.sample_weight))
