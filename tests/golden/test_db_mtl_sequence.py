"""Six steps of DB-MTL against recorded ones, through a model.

The vectors are described in tests/data/README.md.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl

DATA = Path(__file__).parent.parent / "data" / "db_mtl.npz"
PAIRS = [(0.0, 0.0), (0.5, 0.5), (0.9, 0.0), (0.9, 0.5)]


class LinearTasks(keras_mtl.MultiTaskModel):
    """Task losses that are linear in the weights, so that rows are given."""

    def __init__(self, num_tasks, size):
        super().__init__(name="linear_tasks")
        self.num_tasks = num_tasks
        self.point = self.add_weight(
            shape=(size,), initializer="zeros", name="point"
        )

    def call(self, inputs):
        # Row k of the batch is the gradient of task k.
        values = ops.matmul(inputs[0], self.point[:, None])[:, 0]
        return {f"task_{k}": values[k][None] for k in range(self.num_tasks)}


def plus_offset(y_true, y_pred):
    return y_pred + y_true


@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.parametrize("group", ["k2p10", "k3p10", "k5p10", "k8p10"])
def test_train_on_batch(pair, group):
    with np.load(DATA) as arrays:
        jacobians, losses = arrays[f"{group}/J"], arrays[f"{group}/L"]
        name = f"beta{pair[0]}.sigma{pair[1]}/{group}/vector"
        expected = arrays[name]
    num_tasks, size = jacobians.shape[1:]
    model = LinearTasks(num_tasks, size)
    tasks = [f"task_{k}" for k in range(num_tasks)]
    model.compile(
        keras.optimizers.SGD(1.0),
        dict.fromkeys(tasks, plus_offset),
        strategy=keras_mtl.strategies.DBMTL(*pair),
    )
    model(np.zeros((1, num_tasks, size), "float32"))
    for jacobian, loss, vector in zip(jacobians, losses, expected, strict=True):
        # The offset makes the loss what it was, wherever the weights are.
        model.point.assign(np.zeros(size))
        labels = {
            task: np.asarray([value], "float32")
            for task, value in zip(tasks, loss, strict=True)
        }
        model.train_on_batch(jacobian[None].astype("float32"), labels)
        moved = -ops.convert_to_numpy(model.point.value)
        error = np.linalg.norm(moved - vector)
        assert error <= 1e-5 * np.linalg.norm(vector)
