"""The order of the tasks in symbolic outputs."""

import keras
import pytest

from keras_mtl import layers

TASKS = ["z", "a", "m"]


def dense():
    return keras.layers.Dense(3)


LAYERS = {
    "mmoe": lambda: layers.MMoE(TASKS, dense(), 2),
    "cgc": lambda: layers.CGC(TASKS, dense(), shared_gate=True),
    "ple": lambda: layers.PLE(TASKS, dense()),
    "cross_stitch": lambda: layers.CrossStitch(TASKS),
    "learning_to_branch": lambda: layers.LearningToBranch(
        TASKS, [[dense()], dense()]
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_have_the_order_of_the_tasks(name):
    inputs = keras.Input((4,))
    if name == "cross_stitch":
        inputs = {task: keras.Input((4,)) for task in TASKS}
    assert list(LAYERS[name]()(inputs))[:3] == TASKS
