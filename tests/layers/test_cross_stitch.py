"""Cross-stitch units against equation 1 of the paper."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl import layers
from tests.backend_tools import numpy

TASKS = ("left", "middle", "right")


def inputs(*shape):
    rng = np.random.default_rng(0)
    return {task: rng.normal(size=shape).astype("float32") for task in TASKS}


@pytest.mark.parametrize(
    ("options", "channel_axis"),
    [
        ({}, None),
        ({"per_channel": True}, 3),
        ({"per_channel": True, "axis": 1}, 1),
        ({"per_channel": True, "axis": -2}, 2),
    ],
)
def test_formula(options, channel_axis):
    x = inputs(2, 3, 4, 5)
    layer = layers.CrossStitch(TASKS, **options)
    layer(x)
    rng = np.random.default_rng(1)
    for task in TASKS:
        row = layer.rows[task]
        row.assign(rng.normal(size=row.shape))
    outputs = layer(x)
    for task in TASKS:
        alphas = numpy(layer.rows[task].value)
        expected = 0.0
        for alpha, other in zip(alphas, TASKS, strict=True):
            if channel_axis is not None:
                shape = [1, 1, 1, 1]
                shape[channel_axis] = x[other].shape[channel_axis]
                alpha = alpha.reshape(shape)
            expected = expected + alpha * x[other]
        # Three products of numbers around 1, in float32.
        np.testing.assert_allclose(
            numpy(outputs[task]), expected, rtol=1e-5, atol=1e-5
        )


def test_starts_near_the_identity():
    layer = layers.CrossStitch(TASKS, own_weight=0.8, per_channel=True)
    layer(inputs(2, 4))
    for k, task in enumerate(TASKS):
        expected = np.full((3, 4), 0.1)
        expected[k] = 0.8
        np.testing.assert_allclose(
            numpy(layer.rows[task].value), expected, rtol=1e-6
        )


def test_one_task_alone():
    layer = layers.CrossStitch(["only"], own_weight=1.0)
    x = np.arange(6.0, dtype="float32").reshape(2, 3)
    np.testing.assert_array_equal(numpy(layer({"only": x})["only"]), x)


def test_the_order_of_the_dict_does_not_matter():
    x = inputs(2, 4)
    layer = layers.CrossStitch(TASKS)
    expected = layer(x)
    outputs = layer({task: x[task] for task in reversed(TASKS)})
    assert list(outputs) == list(TASKS)
    for task in TASKS:
        np.testing.assert_array_equal(
            numpy(outputs[task]), numpy(expected[task])
        )


def test_masks_stay_with_their_task():
    x = {
        task: keras.layers.Masking()(
            array * np.array([[[1.0], [k]]], "float32")
        )
        for k, (task, array) in enumerate(inputs(1, 2, 3).items())
    }
    outputs = layers.CrossStitch(TASKS)(x)
    found = {
        task: ops.convert_to_numpy(output._keras_mask)[0].tolist()
        for task, output in outputs.items()
    }
    assert found == {
        "left": [True, False],
        "middle": [True, True],
        "right": [True, True],
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axis": 0}, "`axis` must be an integer, not 0"),
        ({"axis": 1.5}, "`axis` must be an integer, not 0"),
        ({"own_weight": 1.5}, r"`own_weight` must be a number in \[0, 1\]"),
        ({"own_weight": "1"}, r"`own_weight` must be a number in \[0, 1\]"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        layers.CrossStitch(TASKS, **options)


def test_bad_inputs():
    x = inputs(2, 4)
    with pytest.raises(ValueError, match="must be a dict with the keys left"):
        layers.CrossStitch(TASKS)(x["left"])
    with pytest.raises(ValueError, match="Received: left, middle$"):
        layers.CrossStitch(TASKS)({k: x[k] for k in TASKS[:2]})
    with pytest.raises(ValueError, match=r"one shape.*'right': \(2, 3\)"):
        layers.CrossStitch(TASKS)({**x, "right": x["right"][:, :3]})
    for axis in (2, -2):
        with pytest.raises(ValueError, match=f"`axis={axis}` is no axis"):
            layers.CrossStitch(TASKS, per_channel=True, axis=axis)(x)
    with pytest.raises(ValueError, match="number of channels must be known"):
        layers.CrossStitch(TASKS, per_channel=True, axis=1)(
            {task: keras.Input((None, 3)) for task in TASKS}
        )
