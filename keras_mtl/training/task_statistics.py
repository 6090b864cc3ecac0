"""Sums over steps of what the tasks' losses and gradients were like."""

from typing import Any

import keras
from keras import ops

from keras_mtl import backend
from keras_mtl.gradients.passes import Update
from keras_mtl.gradients.record import Record
from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

#: Which rows a Gramian was taken of.
LOSS, FLAT = "loss", "flat"


class TaskStatistics(keras.layers.Layer):
    """Means over the steps since the last `read_and_reset`.

    All sums stay on the device; a step adds to them.

    Args:
        num_tasks: Number of tasks K.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(self, num_tasks: int, **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)
        self.num_tasks = num_tasks
        self.sums = {}
        shapes = {
            **dict.fromkeys(
                ("present", "losses", "weights", "row_weights", "row_counts"),
                (num_tasks,),
            ),
            **_gradient_shapes(LOSS, num_tasks),
            **_gradient_shapes(FLAT, num_tasks),
            **dict.fromkeys(
                ("inner_cosines", "inner_conflicts", "inner_counts"),
                (num_tasks,),
            ),
        }
        for name, shape in shapes.items():
            self.sums[name] = self.add_weight(
                name=name,
                shape=shape,
                dtype="float32",
                initializer="zeros",
                trainable=False,
            )
        self.built = True

    def add(self, update: Update) -> list[tuple[Variable, Tensor]]:
        """Returns assignments that add one step.

        Args:
            update: The `Update` of the step, with a record.
        """
        source = update.source
        # There is one: somebody watches.
        record: Any = update.record
        losses = ops.cast(source.losses, "float32")
        present = ops.ones_like(losses)
        if source.mask is not None:
            present = ops.cast(source.mask > 0, "float32")
        weights = ops.cast(record.weights, "float32")
        terms = {
            "present": present,
            "losses": present * losses,
            "weights": present * weights,
        }
        if record.row_weights is not None:
            row_weights = ops.cast(record.row_weights, "float32")
            terms["row_weights"] = present * row_weights
            terms["row_counts"] = present
        seen = present
        if record.taken is not None:
            seen = present * ops.cast(record.taken, "float32")
        for part, gramian in record.gramians.items():
            terms.update(_gradient_terms(part, gramian, weights, seen))
        if record.inner_products is not None:
            terms.update(_inner_terms(record))
        return [
            (self.sums[name], ops.convert_to_tensor(self.sums[name]) + term)
            for name, term in terms.items()
        ]

    def read_and_reset(self) -> dict[str, Any]:
        """Returns the sums as NumPy arrays, and sets them to 0."""
        names = list(self.sums)
        arrays = backend.to_host(
            [ops.copy(self.sums[name].value) for name in names]
        )
        for variable in self.sums.values():
            variable.assign(ops.zeros_like(variable.value))
        return dict(zip(names, arrays, strict=True))


def _gradient_shapes(part: Tensor, num_tasks: int) -> dict[str, Shape]:
    vector, matrix = (num_tasks,), (num_tasks, num_tasks)
    return {
        f"{part}_norms": vector,
        f"{part}_norm_counts": vector,
        f"{part}_cosines": matrix,
        f"{part}_conflicts": matrix,
        f"{part}_pair_counts": matrix,
    }


def _gradient_terms(
    part: Tensor, gramian: Tensor, weights: Tensor, present: Tensor
) -> dict[str, Tensor]:
    gramian = ops.cast(gramian, "float32")
    norms = ops.sqrt(ops.maximum(ops.diagonal(gramian), 0.0))
    # Rows are multiplied with the balancer's weights.
    weighted = ops.logical_and(present > 0, weights > 0)
    sizes = norms / ops.where(weighted, weights, 1.0)
    there = ops.cast(ops.logical_and(weighted, norms > 0), "float32")
    pairs = there[:, None] * there[None, :]
    # One norm after the other: a product of two may overflow.
    safe = ops.where(there > 0, norms, 1.0)
    cosines = gramian / safe[:, None] / safe[None, :]
    return {
        f"{part}_norms": ops.where(weighted, sizes, 0.0),
        f"{part}_norm_counts": ops.cast(weighted, "float32"),
        f"{part}_cosines": ops.where(pairs > 0, cosines, 0.0),
        f"{part}_conflicts": pairs * ops.cast(cosines < 0, "float32"),
        f"{part}_pair_counts": pairs,
    }


def _inner_terms(record: Record) -> dict[str, Tensor]:
    squares = [
        ops.diagonal(ops.cast(record.gramians[part], "float32"))
        for part in (LOSS, FLAT)
    ]
    there = ops.logical_and(squares[0] > 0, squares[1] > 0)
    norms = [ops.sqrt(ops.where(there, square, 1.0)) for square in squares]
    products = ops.cast(record.inner_products, "float32")
    cosines = ops.where(there, products / norms[0] / norms[1], 0.0)
    return {
        "inner_cosines": cosines,
        "inner_conflicts": ops.cast(cosines < 0, "float32"),
        "inner_counts": ops.cast(there, "float32"),
    }
