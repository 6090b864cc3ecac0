"""MixtureOfExperts, MMoE, CGC and PLE against the papers' formulas."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl import layers
from layers.reference import linear
from layers.reference import softmax_mixture
from tests.backend_tools import numpy

TASKS = ("left", "right")
#: Sums of a few products of numbers around 1, in float32.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def data(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def assert_near(actual, expected):
    np.testing.assert_allclose(numpy(actual), expected, **TOLERANCE)


def test_mixture_of_experts():
    x, z = data(4, 5), data(4, 2)
    layer = layers.MixtureOfExperts(keras.layers.Dense(3), num_experts=3)
    output = layer(x, gate_inputs=z)
    experts = [linear(x, expert) for expert in layer.experts]
    assert_near(output, softmax_mixture(z, experts, layer.gates[""]))


def test_mmoe():
    x = data(4, 5)
    layer = layers.MMoE(TASKS, keras.layers.Dense(3), num_experts=3)
    outputs = layer(x)
    experts = [linear(x, expert) for expert in layer.experts]
    assert list(outputs) == list(TASKS)
    for task in TASKS:
        assert_near(
            outputs[task], softmax_mixture(x, experts, layer.gates[task])
        )


def test_gates_of_tasks_start_differently():
    layer = layers.MMoE(TASKS, keras.layers.Dense(3), num_experts=3)
    outputs = layer(data(4, 5))
    assert np.abs(numpy(outputs["left"]) - numpy(outputs["right"])).max() > 0.01


def test_time_steps_are_weighed_apart():
    x = data(4, 6, 5)
    layer = layers.MMoE(TASKS, keras.layers.Dense(3), num_experts=3)
    outputs = layer(x)
    experts = [linear(x, expert) for expert in layer.experts]
    for task in TASKS:
        assert_near(
            outputs[task], softmax_mixture(x, experts, layer.gates[task])
        )


def test_one_weight_per_image():
    x = data(4, 6, 6, 2)
    gate = keras.Sequential(
        [
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    layer = layers.MixtureOfExperts(
        keras.layers.Conv2D(3, 3, strides=2), num_experts=2, gate=gate
    )
    output = layer(x)
    weights = numpy(layer.gates[""](x))
    first, second = (numpy(expert(x)) for expert in layer.experts)
    assert_near(
        output,
        weights[:, 0, None, None, None] * first
        + weights[:, 1, None, None, None] * second,
    )


def cgc_by_hand(layer, inputs, num_own):
    """The formula of CGC, with `num_own` experts a task and two shared."""
    num_tasks = len(TASKS)
    by_expert = [task for task in TASKS for _ in range(num_own)]
    by_expert += ["shared", "shared"]
    values = [
        linear(inputs[group], expert)
        for group, expert in zip(by_expert, layer.experts, strict=True)
    ]
    shared = values[num_tasks * num_own :]
    outputs = {}
    for k, task in enumerate(TASKS):
        own = values[k * num_own : (k + 1) * num_own]
        gate = layer.gates[task]
        outputs[task] = softmax_mixture(inputs[task], own + shared, gate)
    if layer.shared_gate:
        gate = layer.gates["shared"]
        outputs["shared"] = softmax_mixture(inputs["shared"], values, gate)
    return outputs


@pytest.mark.parametrize("shared_gate", [False, True])
def test_cgc(shared_gate):
    x = data(4, 5)
    layer = layers.CGC(
        TASKS,
        keras.layers.Dense(3),
        num_task_experts=2,
        num_shared_experts=2,
        shared_gate=shared_gate,
    )
    outputs = layer(x)
    expected = cgc_by_hand(layer, dict.fromkeys((*TASKS, "shared"), x), 2)
    assert outputs.keys() == expected.keys()
    for name in expected:
        assert_near(outputs[name], expected[name])


def test_cgc_with_an_input_for_each_task():
    x = data(3, 4, 5)
    inputs = {"shared": x[0], "left": x[1], "right": x[2]}
    layer = layers.CGC(TASKS, keras.layers.Dense(3), num_shared_experts=2)
    outputs = layer(inputs)
    expected = cgc_by_hand(layer, inputs, 1)
    for task in TASKS:
        assert_near(outputs[task], expected[task])


def test_cgc_with_different_numbers_of_own_experts():
    layer = layers.CGC(
        TASKS, keras.layers.Dense(3), num_task_experts={"right": 3, "left": 1}
    )
    layer(data(4, 5))
    assert [expert.name for expert in layer.experts] == [
        "left_expert_0",
        "right_expert_0",
        "right_expert_1",
        "right_expert_2",
        "shared_expert_0",
    ]
    assert layer.gates["left"].units == 2
    assert layer.gates["right"].units == 4


def test_ple():
    x = data(4, 5)
    layer = layers.PLE(
        TASKS,
        [keras.layers.Dense(4), keras.layers.Dense(6), keras.layers.Dense(3)],
        num_levels=3,
        num_task_experts=2,
        num_shared_experts=2,
    )
    outputs = layer(x)
    expected = dict.fromkeys((*TASKS, "shared"), x)
    for level in layer.levels:
        expected = cgc_by_hand(level, expected, 2)
    assert set(outputs) == set(expected) == set(TASKS)
    for task in TASKS:
        assert_near(outputs[task], expected[task])


def test_training_reaches_experts_and_gates():
    expert = keras.Sequential([keras.layers.Dropout(0.5, seed=1)])
    layer = layers.MMoE(TASKS, expert, num_experts=2)
    x = np.ones((64, 4), "float32")
    assert np.all(numpy(layer(x)["left"]) == 1.0)
    dropped = numpy(layer(x, training=True)["left"])
    assert np.mean(dropped == 1.0) < 0.5


def masked(x):
    mask = np.array([[True] * 3 + [False] * 3] * 4)
    return keras.layers.Masking()(x * mask[..., None]), mask


@pytest.mark.parametrize(
    "layer",
    [
        layers.MMoE(TASKS, keras.layers.Dense(3), num_experts=2),
        layers.CGC(TASKS, keras.layers.Dense(3)),
        layers.PLE(TASKS, keras.layers.Dense(3)),
    ],
    ids=["mmoe", "cgc", "ple"],
)
def test_masks_are_passed_on(layer):
    x, mask = masked(data(4, 6, 5))
    for output in layer(x).values():
        np.testing.assert_array_equal(
            ops.convert_to_numpy(output._keras_mask), mask
        )


def test_mask_of_a_mixture():
    x, mask = masked(data(4, 6, 5))
    output = layers.MixtureOfExperts(keras.layers.Dense(3), num_experts=2)(x)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(output._keras_mask), mask
    )


def test_experts_see_the_mask_and_those_that_use_it_up_end_it():
    x, _ = masked(data(4, 6, 5))
    gate = layers.DSelectK(k=2, per_example=False)
    layer = layers.MMoE(
        TASKS, keras.layers.GlobalAveragePooling1D(), num_experts=2, gate=gate
    )
    outputs = layer(x)
    assert getattr(outputs["left"], "_keras_mask", None) is None
    # Both experts take the mean over the first three time steps.
    assert_near(outputs["left"], numpy(x)[:, :3].mean(axis=1))


def test_experts_with_different_outputs():
    layer = layers.MMoE(TASKS, [keras.layers.Dense(3), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match="All experts must give .* one shape"):
        layer(data(4, 5))


def test_gate_with_a_wrong_number_of_weights():
    layer = layers.MMoE(
        TASKS, keras.layers.Dense(3), 2, gate=keras.layers.Dense(5)
    )
    with pytest.raises(ValueError, match="'left_gate'.*each of its 2 experts"):
        layer(data(4, 5))


def test_gate_whose_axes_do_not_fit():
    layer = layers.MixtureOfExperts(keras.layers.Conv2D(3, 3), num_experts=2)
    with pytest.raises(ValueError, match="'gate'.*GlobalAveragePooling2D"):
        layer(data(4, 6, 6, 2))
    layer = layers.MixtureOfExperts(keras.layers.LSTM(3), num_experts=2)
    with pytest.raises(ValueError, match="do not fit to outputs of experts"):
        layer(data(4, 6, 2))


DENSE = keras.layers.Dense(3)


@pytest.mark.parametrize(
    ("expert", "num_experts", "message"),
    [
        (DENSE, None, "`num_experts` must be an integer, at least 2"),
        (DENSE, 1, "`num_experts` must be an integer, at least 2"),
        ("dense", 2, "`expert` must be a Keras layer or model"),
        ([DENSE], None, "`expert` must be a layer, or a list of two or more"),
        (
            [DENSE, 3],
            None,
            "`expert` must be a layer, or a list of two or more",
        ),
        ([DENSE] * 2, None, "lists one layer more than once"),
        (
            [DENSE, keras.layers.Dense(3)],
            3,
            "`num_experts` must be the number of layers",
        ),
    ],
)
def test_bad_experts(expert, num_experts, message):
    with pytest.raises(ValueError, match=message):
        layers.MMoE(TASKS, expert, num_experts)
    with pytest.raises(ValueError, match=message):
        layers.MixtureOfExperts(expert, num_experts)


@pytest.mark.parametrize("cls", [layers.CGC, layers.PLE])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": ["a", "shared"]}, "must not be called 'shared'"),
        ({"expert": [3, 3]}, "`expert` must be a Keras layer or model"),
        ({"num_task_experts": 0}, "`num_task_experts` must be an integer"),
        ({"num_task_experts": {"left": 1}}, "the keys left, right. Received"),
        ({"num_shared_experts": 0}, "`num_shared_experts` must be an integer"),
        ({"gate": "softmax"}, "`gate` must be a Keras layer or model"),
    ],
)
def test_bad_arguments_of_cgc_and_ple(cls, arguments, message):
    with pytest.raises(ValueError, match=message):
        cls(**{"tasks": TASKS, "expert": DENSE, **arguments})


def test_bad_levels():
    with pytest.raises(ValueError, match="`num_levels` must be an integer"):
        layers.PLE(TASKS, DENSE, num_levels=0)
    with pytest.raises(ValueError, match="3 layers for num_levels=2"):
        layers.PLE(TASKS, [DENSE] * 3)


def test_cgc_with_a_wrong_dict_of_inputs():
    layer = layers.CGC(TASKS, DENSE)
    with pytest.raises(ValueError, match="keys left, right, shared. Received"):
        layer({"left": data(4, 5), "right": data(4, 5)})
