"""The choice of one parent each that some children make."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


class ParentChoice(keras.layers.Layer):
    """Logits of children over parents, and what follows from them.

    Args:
        num_children: Number of those that choose.
        num_parents: Number of those to choose from. A single one is no
            choice: there is no variable then.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(self, num_children: int, num_parents: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_children = num_children
        self.logits = None
        if num_parents > 1:
            self.logits = self.add_weight(
                name="logits",
                shape=(num_children, num_parents),
                initializer="zeros",
                dtype="float32",
                # The largest in half precision might be another.
                autocast=False,
            )
        self.built = True

    def inputs_of_children(
        self, outputs: list[Any], sample: Callable[[Any], Any] | None
    ) -> list[Any]:
        """Returns the input of each child, made of the parents' outputs.

        Args:
            outputs: One tensor per parent.
            sample: Function from logits to weights of the parents, or `None`
                to take the likeliest parent.
        """
        children = range(self.num_children)
        if self.logits is None:
            return [outputs[0] for _ in children]
        logits = ops.convert_to_tensor(self.logits)
        if sample is None:
            parents = ops.argmax(logits, axis=-1)
            stacked = ops.stack(outputs)
            return [ops.take(stacked, parents[j], axis=0) for j in children]
        weights = ops.cast(sample(logits), outputs[0].dtype)
        return [
            sum(weights[j, i] * output for i, output in enumerate(outputs))
            for j in children
        ]

    def likeliest(self) -> list[int]:
        """Returns the index of each child's likeliest parent."""
        if self.logits is None:
            return [0] * self.num_children
        return np.argmax(ops.convert_to_numpy(self.logits), axis=-1).tolist()
