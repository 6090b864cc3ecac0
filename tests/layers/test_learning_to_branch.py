"""Branching against closed forms, and the tree that it leaves."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl.layers import LearningToBranch
from keras_mtl.layers.gumbel_softmax import gumbel_softmax
from tests.backend_tools import numpy
from tests.layers.battery import check_layer

LOGITS = np.array([0.0, 1.0, -0.5], "float32")
DRAWS = 20_000


def softmax(logits):
    powers = np.exp(logits - np.max(logits))
    return powers / powers.sum()


def draw(temperature, hard=False, seed=0):
    logits = ops.convert_to_tensor(np.tile(LOGITS, (DRAWS, 1)))
    generator = keras.random.SeedGenerator(seed)
    return numpy(gumbel_softmax(logits, temperature, generator, hard))


def inputs():
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 3)).astype("float32")


def branching(**arguments):
    dense = keras.layers.Dense
    arguments = {
        "tasks": ["a", "b", "c"],
        "blocks": [[dense(5, "relu", name="root")], dense(4), dense(2)],
        "seed": 0,
        **arguments,
    }
    return LearningToBranch(**arguments)


def with_picks(layer, rows, tasks):
    """Makes the given parents the likeliest ones."""
    layer(inputs())
    for choice, parents in zip(layer.row_choices[1:], rows, strict=True):
        choice.logits.assign(np.eye(3)[parents])
    for task, parent in tasks.items():
        layer.task_choices[task].logits.assign(np.eye(3)[[parent]])
    return layer


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_largest_entries_are_as_frequent_as_softmax_says(temperature):
    frequency = np.bincount(draw(temperature).argmax(-1), minlength=3) / DRAWS
    probability = softmax(LOGITS)
    deviation = np.sqrt(probability * (1 - probability) / DRAWS)
    assert np.all(np.abs(frequency - probability) < 4 * deviation)


def test_cold_draws_are_one_hot():
    # One entry is above 0.999 where the two largest of `logits + noise` are
    # 7e-4 apart. Their difference has a density below 1 at 0.
    largest = draw(1e-4).max(-1)
    assert np.mean(largest > 0.999) > 0.998


def test_hot_draws_are_even():
    np.testing.assert_allclose(draw(1e6), 1 / 3, atol=1e-4)


def test_hard_draws_are_the_largest_entries_of_soft_ones():
    hard, soft = draw(1.0, hard=True), draw(1.0)
    # Up to rounding of `1 - soft + soft`.
    np.testing.assert_allclose(hard, np.eye(3)[soft.argmax(-1)], atol=1e-6)


def test_soft_draws_add_up_to_one():
    np.testing.assert_allclose(draw(0.5).sum(-1), 1.0, rtol=1e-6)


def test_draws_repeat_with_the_seed():
    x = inputs()
    first, second = branching(), branching()
    first.build(x.shape)
    second.build(x.shape)
    second.set_weights(first.get_weights())
    draws = [numpy(first(x, training=True)["a"]) for _ in range(2)]
    assert np.any(draws[0] != draws[1])
    for expected in draws:
        actual = numpy(second(x, training=True)["a"])
        np.testing.assert_array_equal(actual, expected)


def test_hot_training_mixes_all_parents_evenly():
    x = inputs()
    layer = branching(temperature=1e6)
    layer.build(x.shape)
    (root,), middle, last = layer.blocks
    features = root(x)
    features = sum(block(features) for block in middle) / 3
    features = sum(block(features) for block in last) / 3
    for tensor in layer(x, training=True).values():
        # Weights deviate from 1/3 by some 1e-5.
        np.testing.assert_allclose(numpy(tensor), numpy(features), atol=1e-3)


def test_inference_takes_the_likeliest_parents():
    x = inputs()
    layer = with_picks(branching(), [[2, 0, 0]], {"a": 0, "b": 1, "c": 2})
    (root,), middle, last = layer.blocks
    outputs = layer(x)
    for task, block, parent in zip("abc", last, (2, 0, 0), strict=True):
        expected = block(middle[parent](root(x)))
        np.testing.assert_allclose(
            numpy(outputs[task]), numpy(expected), rtol=1e-6, atol=1e-6
        )


def test_tree_lists_the_blocks_from_the_input_on():
    layer = with_picks(branching(), [[2, 0, 0]], {"a": 0, "b": 1, "c": 1})
    assert layer.tree() == {"a": [0, 2, 0], "b": [0, 0, 1], "c": [0, 0, 1]}


def test_the_extracted_model_predicts_the_same():
    layer = with_picks(branching(), [[2, 0, 0]], {"a": 0, "b": 1, "c": 1})
    model = layer.to_model()
    x = np.concatenate([inputs(), inputs() + 1])
    actual, expected = model(x), layer(x)
    assert set(actual) == {"a", "b", "c"}
    for task in expected:
        np.testing.assert_allclose(
            numpy(actual[task]), numpy(expected[task]), rtol=1e-6, atol=1e-6
        )


def test_the_extracted_model_has_the_chosen_blocks_and_their_weights():
    layer = with_picks(branching(), [[2, 0, 0]], {"a": 0, "b": 1, "c": 1})
    (root,), middle, last = layer.blocks
    chosen = [root, middle[0], middle[2], last[0], last[1]]
    model = layer.to_model()
    assert {id(v) for v in model.variables} == {
        id(v) for block in chosen for v in block.variables
    }
    fresh = keras.models.clone_model(model)
    assert set(fresh(inputs())) == {"a", "b", "c"}
    assert not {id(v) for v in fresh.variables} & {
        id(v) for v in model.variables
    }


def test_an_extracted_model_is_saved_and_loaded():
    layer = with_picks(branching(), [[2, 0, 0]], {"a": 0, "b": 1, "c": 2})
    model = layer.to_model()
    model.save("tree.keras")
    loaded = keras.saving.load_model("tree.keras")
    np.testing.assert_array_equal(
        numpy(loaded(inputs())["b"]), numpy(model(inputs())["b"])
    )


def test_temperature_is_saved_with_the_weights():
    layer = branching()
    layer(inputs())
    layer.temperature.assign(0.25)
    other = branching()
    other(inputs())
    other.set_weights(layer.get_weights())
    assert float(other.temperature.value) == 0.25
    assert other.get_config()["temperature"] == 1.0


def test_copies_start_from_weights_of_their_own():
    layer = branching(
        blocks=[
            keras.layers.Dense(
                2, kernel_initializer=keras.initializers.GlorotUniform(seed=3)
            )
        ]
    )
    layer(inputs())
    kernels = [numpy(block.kernel.value) for block in layer.blocks[0]]
    assert np.any(kernels[0] != kernels[1])


def test_every_task_has_logits_of_its_own():
    layer = branching()
    layer(inputs())
    variables = [choice.logits for choice in layer.task_choices.values()]
    assert len({id(variable) for variable in variables}) == 3
    assert all(variable.shape == (1, 3) for variable in variables)


@pytest.mark.parametrize("hard", [False, True])
def test_a_model_shares_all_but_the_choices_of_tasks(hard):
    image = keras.Input((3,))
    layer = branching(hard=hard, tasks=["c", "a"])
    features = layer(image)
    assert list(features) == ["c", "a"]
    model = keras_mtl.MultiTaskModel(
        image,
        {
            task: keras.layers.Dense(1, name=task)(features[task])
            for task in features
        },
    )
    blocks = [block for row in layer.blocks for block in row]
    shared = [variable for block in blocks for variable in block.variables]
    shared.append(layer.row_choices[1].logits)
    assert {id(variable) for variable in model.shared_variables} == {
        id(variable) for variable in shared
    }
    for task, choice in layer.task_choices.items():
        own = {variable.path for variable in model.task_variables[task]}
        assert own == {f"{task}/kernel", f"{task}/bias", choice.logits.path}


def test_a_single_parent_is_no_choice():
    layer = branching()
    layer(inputs())
    # That of the second row, with one root before it.
    assert not layer.row_choices[0].variables
    assert layer.row_choices[1].logits.shape == (3, 3)


@pytest.mark.parametrize("hard", [False, True])
def test_does_what_every_layer_does(hard):
    check_layer(
        lambda: LearningToBranch(
            ["a", "b"],
            [
                [keras.layers.Dense(3, "tanh", name="root")],
                keras.layers.Dense(2, name="leaf"),
            ],
            hard=hard,
            seed=0,
        ),
        inputs(),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": "ab"}, "`tasks` must be a list of task names"),
        ({"blocks": []}, "`blocks` must be a list with one entry per row"),
        ({"blocks": [[]]}, "Received in row 0: \\[\\]"),
        ({"blocks": ["dense"]}, "must be a layer to copy, or a list of layers"),
        ({"width": 0}, "`width` must be an integer, at least 1"),
        (
            {"temperature": 0.0},
            "`temperature` must be a number in \\(0, inf\\)",
        ),
        ({"seed": -1}, "`seed` must be None or an integer"),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        branching(**arguments)


def test_refuses_blocks_of_different_output_shapes():
    row = [keras.layers.Dense(2), keras.layers.Dense(3)]
    layer = branching(blocks=[row])
    with pytest.raises(ValueError, match=r"row 0: \(4, 2\), \(4, 3\)"):
        layer.build((4, 3))


def test_has_no_tree_before_it_is_built():
    with pytest.raises(ValueError, match="The layer has no tree yet"):
        branching().tree()
