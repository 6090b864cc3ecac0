"""Every layer of the expert family against the battery."""

import keras
import numpy as np
import pytest

from keras_mtl import layers
from layers.battery import check_layer

TASKS = ("left", "right")


def dense(units=3, **kwargs):
    return keras.layers.Dense(units, activation="tanh", **kwargs)


LAYERS = {
    "moe": lambda: layers.MixtureOfExperts(dense(), num_experts=3),
    "moe_list": lambda: layers.MixtureOfExperts(
        [dense(), keras.Sequential([dense(4), dense(3)])]
    ),
    "mmoe": lambda: layers.MMoE(TASKS, dense(), num_experts=3),
    "mmoe_dselect_k": lambda: layers.MMoE(
        TASKS,
        dense(),
        num_experts=3,
        gate=layers.DSelectK(k=2, entropy_weight=0.1),
    ),
    "cgc": lambda: layers.CGC(
        TASKS, dense(), gate=layers.DSelectK(k=2, per_example=False)
    ),
    "ple": lambda: layers.PLE(TASKS, [dense(4), dense(3)]),
    "dselect_k": lambda: layers.DSelectK(k=2, num_experts=4),
    "dselect_k_static": lambda: layers.DSelectK(
        k=2, num_experts=3, per_example=False
    ),
}

STITCHES = {
    "layer": lambda: layers.CrossStitch(TASKS),
    "channel": lambda: layers.CrossStitch(TASKS, per_channel=True),
    "channels_first": lambda: layers.CrossStitch(
        TASKS, per_channel=True, axis=1
    ),
}


def data(*shape):
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, *shape)).astype("float32")


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    check_layer(LAYERS[name], data(5))


@pytest.mark.parametrize("name", STITCHES)
def test_stitch(name):
    check_layer(STITCHES[name], {task: data(3, 2) for task in TASKS})
