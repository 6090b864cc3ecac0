"""Attention of MTAN against the paper's equations in NumPy."""

from importlib.metadata import version

import keras
import numpy as np
import pytest
from packaging.version import Version

import keras_mtl
from keras_mtl.layers import MTAN
from tests.backend_tools import BACKEND
from tests.backend_tools import numpy
from tests.layers.battery import check_compiled_call
from tests.layers.battery import check_layer
from tests.layers.battery import check_uncompiled

EPSILON = 1e-3  # Of keras.layers.BatchNormalization.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}  # Float32, sums of up to 63 terms.


def maps(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def randomize(layer):
    """Gives every variable, moving statistics too, a value of its own."""
    rng = np.random.default_rng(1)
    for variable in layer.weights:
        low = 0.5 if "variance" in variable.name else -1.0
        variable.assign(rng.uniform(low, 1.0, variable.shape))


def convolve(x, kernel):
    """Convolution with zero padding to the same size, one pixel at a time."""
    reach = kernel.shape[0] // 2
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    size = kernel.shape[0]
    result = np.zeros((*x.shape[:3], kernel.shape[-1]))
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            window = padded[:, i : i + size, j : j + size]
            result[:, i, j] = np.einsum("bhwc,hwcd->bd", window, kernel)
    return result


def pool(x):
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return blocks.max(axis=(2, 4))


def attention_in_numpy(values, levels):
    """Equations 1 and 2, with the variables in the order of their use."""
    values = iter(values)

    def convolution(x):
        kernel, gamma, beta, mean, variance = (next(values) for _ in range(5))
        x = convolve(x, kernel)
        return gamma * (x - mean) / np.sqrt(variance + EPSILON) + beta

    def relu(x):
        return np.maximum(x, 0.0)

    def masked(shared, target):
        hidden = relu(convolution(shared))
        return target / (1.0 + np.exp(-convolution(hidden)))

    attended = [masked(*levels[0])]
    for shared, target in levels[1:]:
        carried = pool(relu(convolution(attended[-1])))
        joined = np.concatenate([shared, carried], axis=-1)
        attended.append(masked(joined, target))
    return attended


def values_in_order(attention):
    """Kernel, scale, offset and statistics of each convolution, in order."""
    stacks = [attention.masks[0]]
    for transition, mask in zip(
        attention.transitions, attention.masks[1:], strict=True
    ):
        stacks += [transition, mask]
    return [
        numpy(variable.value)
        for stack in stacks
        for layer in stack
        for variable in layer.weights
    ]


@pytest.mark.parametrize("reduction", [1, 2])
def test_equals_the_equations(reduction):
    first, shared, target, last = maps(
        (2, 8, 8, 3), (2, 4, 4, 5), (2, 4, 4, 4), (2, 2, 2, 2)
    )
    inputs = [first, (shared, target), last]
    layer = MTAN(["a", "b"], outputs="all", reduction=reduction)
    layer(inputs)
    randomize(layer)
    outputs = layer(inputs)
    levels = [(first, first), (shared, target), (last, last)]
    for task in ("a", "b"):
        expected = attention_in_numpy(
            values_in_order(layer.attention[task]), levels
        )
        assert len(outputs[task]) == 3
        for actual, wanted in zip(outputs[task], expected, strict=True):
            np.testing.assert_allclose(numpy(actual), wanted, **TOLERANCE)
    assert np.any(numpy(outputs["a"][0]) != numpy(outputs["b"][0]))


def test_last_level_is_the_last_of_all():
    inputs = maps((2, 4, 4, 3), (2, 2, 2, 5))
    every = MTAN(["a"], outputs="all")
    last = MTAN(["a"])
    every(inputs)
    last(inputs)
    last.set_weights(every.get_weights())
    np.testing.assert_array_equal(
        numpy(last(inputs)["a"]), numpy(every(inputs)["a"][-1])
    )


def test_an_attended_feature_lies_between_zero_and_the_feature():
    inputs = maps((2, 4, 4, 3))
    layer = MTAN(["a"])
    attended = numpy(layer(inputs)["a"])
    assert np.all(np.abs(attended) < np.abs(inputs[0]))
    assert np.all(attended * inputs[0] > 0)


@pytest.mark.parametrize(
    "sizes", [(15, 8), (15, 7), (8, 8), (12, 4), (1, 1), (2, 1)]
)
def test_pools_to_the_size_of_the_next_level(sizes):
    inputs = maps(*((1, size, size, 2) for size in sizes))
    assert MTAN(["a"])(inputs)["a"].shape == (1, sizes[1], sizes[1], 2)


def test_sizes_may_be_unknown():
    layer = MTAN(["a", "b"])
    symbols = [keras.Input((None, None, 3)), keras.Input((None, None, 4))]
    assert layer(symbols)["b"].shape == (None, None, None, 4)
    assert layer(maps((2, 6, 4, 3), (2, 3, 2, 4)))["b"].shape == (2, 3, 2, 4)


def test_channels_first():
    layer = MTAN(["a"], data_format="channels_first", outputs="all")
    shapes = layer([keras.Input((3, 8, 8)), keras.Input((5, 4, 4))])["a"]
    assert [tensor.shape[1:] for tensor in shapes] == [(3, 8, 8), (5, 4, 4)]


def test_does_what_every_layer_does():
    check_layer(
        lambda: MTAN(["a", "b"], reduction=2, data_format="channels_last"),
        maps((4, 8, 8, 3), (4, 4, 4, 5)),
    )


def with_pairs_and_all_levels():
    fine, start, end = maps((4, 4, 4, 3), (4, 2, 2, 4), (4, 2, 2, 2))
    return lambda: MTAN(["a", "b"], outputs="all"), [fine, [start, end]]


def test_does_what_every_layer_does_with_pairs_and_all_levels():
    check_uncompiled(
        *with_pairs_and_all_levels(),
        by_task=lambda outputs: {task: outputs[task][-1] for task in outputs},
    )


@pytest.mark.xfail(
    BACKEND == "torch" and Version(version("torch")) < Version("2.12"),
    strict=True,
    reason="It traces no call of a Keras layer with nested lists in one graph.",
)
def test_compiles_with_pairs_and_all_levels():
    check_compiled_call(*with_pairs_and_all_levels())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": "left"}, "`tasks` must be a list of task names"),
        ({"tasks": ["left", "left"]}, "each of them once"),
        ({"tasks": ["left"], "reduction": 0}, "`reduction` must be an integer"),
        ({"tasks": ["left"], "outputs": "first"}, "`outputs` must be one of"),
        (
            {"tasks": ["left"], "data_format": "nhwc"},
            "`data_format` must be one of",
        ),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MTAN(**arguments)


@pytest.mark.parametrize(
    "shape",
    [
        (None, 4, 4, 3),
        [],
        [(None, 4, 3)],
        [((None, 4, 4, 3),) * 3],
        {"P1": (None, 4, 4, 3)},
    ],
)
def test_refuses_inputs_that_are_no_list_of_levels(shape):
    with pytest.raises(ValueError, match="MTAN takes a list with one feature"):
        MTAN(["a"]).build(shape)


def test_refuses_levels_that_do_not_follow_by_pooling():
    with pytest.raises(ValueError, match=r"\(4, 4\) on level 0 and \(3, 3\)"):
        MTAN(["a"]).build([(None, 4, 4, 2), (None, 3, 3, 2)])


def test_tasks_keep_their_order():
    symbols = [keras.Input((4, 4, 2))]
    assert list(MTAN(["z", "a", "m"])(symbols)) == ["z", "a", "m"]


def test_a_model_shares_the_backbone_alone():
    image = keras.Input((4, 4, 3))
    fine = keras.layers.Conv2D(2, 3, padding="same", name="fine")(image)
    coarse = keras.layers.Conv2D(3, 2, 2, name="coarse")(fine)
    layer = MTAN(["a", "b"])
    features = layer([fine, coarse])
    model = keras_mtl.MultiTaskModel(
        image,
        {
            task: keras.layers.Conv2D(1, 1, name=task)(features[task])
            for task in ("a", "b")
        },
    )
    shared = {variable.path for variable in model.shared_variables}
    assert shared == {
        f"{name}/{part}"
        for name in ("fine", "coarse")
        for part in ("kernel", "bias")
    }
    for task, attention in layer.attention.items():
        own = {variable.path for variable in model.task_variables[task]}
        assert own == {
            f"{task}/kernel",
            f"{task}/bias",
            *(variable.path for variable in attention.trainable_variables),
        }


def test_each_task_has_its_own_attention():
    layer = MTAN(["a", "b"])
    layer.build([(None, 4, 4, 2), (None, 2, 2, 2)])
    own = [
        {id(variable) for variable in attention.variables}
        for attention in layer.attention.values()
    ]
    assert not own[0] & own[1]
    assert own[0] | own[1] == {id(variable) for variable in layer.variables}
