"""All passes of a step see the same random numbers."""

import keras
import numpy as np
import pytest

import keras_mtl
from training import toy


@pytest.mark.parametrize("dropout_seed", [None, 7])
@pytest.mark.parametrize("aggregator", ["sum", "pcgrad"])
def test_all_passes_see_the_same_dropout_mask(aggregator, dropout_seed):
    def update(strategy):
        model = toy.make_model(dropout=0.5, dropout_seed=dropout_seed)
        toy.compiled(model, strategy)
        keras.utils.set_random_seed(1)
        toy.step(model)
        return toy.weights(model)

    # Another mask in the perturbed pass would differ by about 0.1.
    plain = update(aggregator)
    for rho in (0.0, 1e-5):
        flat = update(keras_mtl.strategies.FSMTL(aggregator, rho=rho))
        toy.assert_near(flat, plain, atol=1e-4)


@pytest.mark.parametrize("dropout_seed", [None, 7])
def test_masks_change_from_step_to_step(dropout_seed):
    model = toy.make_model(dropout=0.5, dropout_seed=dropout_seed)
    optimizer = keras.optimizers.SGD(0.0)
    toy.compiled(model, toy.fresh_strategy("fs_mtl"), optimizer)
    first, second = toy.step(model), toy.step(model)
    assert first["left_loss"] != second["left_loss"]


def random_heads(dropout_seed):
    """Dropout in every head, so that part of the model draws less."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(40, activation="tanh")(inputs)
    outputs = {}
    for task, units, end in (("left", 1, None), ("right", 3, "softmax")):
        dropped = keras.layers.Dropout(0.5, seed=dropout_seed)(features)
        outputs[task] = keras.layers.Dense(units, activation=end)(dropped)
    return keras_mtl.MultiTaskModel(inputs, outputs)


@pytest.mark.parametrize("dropout_seed", [None, 7])
def test_heads_see_their_dropout_masks_again(dropout_seed):
    weights = []
    for strategy in ("ew", toy.every_pass()):
        model = toy.compiled(random_heads(dropout_seed), strategy)
        keras.utils.set_random_seed(1)
        toy.step(model)
        toy.step(model)
        weights.append(toy.weights(model))
    toy.assert_near(*weights)


def step_with(strategy, **network):
    model = toy.compiled(toy.make_model(**network), strategy)
    keras.utils.set_random_seed(1)
    toy.step(model)
    return model


@pytest.mark.parametrize("dropout_seed", [None, 7])
@pytest.mark.parametrize(
    "flatness", [keras_mtl.flatness.TaskSAM, keras_mtl.flatness.GlobalSAM]
)
def test_new_random_numbers_in_perturbed_passes(flatness, dropout_seed):
    network = {"dropout": 0.5, "dropout_seed": dropout_seed}
    clean = step_with("sum", **network)
    new = step_with(flatness(rho=1e-5, random_numbers="new"), **network)
    # The radius is nothing: all there is comes from other masks.
    assert toy.distance(toy.weights(clean), toy.weights(new)) > 0.01
    # The next step draws as if there had been one pass.
    for one, other in zip(seeds(clean), seeds(new), strict=True):
        np.testing.assert_array_equal(one, other)


def seeds(model):
    return [
        keras.ops.convert_to_numpy(variable)
        for variable in model.network_variables(False)
        if variable.name == "seed_generator_state"
    ]


def test_steps_between_perturbed_ones_draw_what_plain_steps_draw():
    network = {"dropout": 0.5, "dropout_seed": 7}
    strategy = keras_mtl.strategies.FSMTL(
        "sum", rho=1e-5, random_numbers="new", interval=2
    )
    model = step_with(strategy, **network)
    plain = step_with("sum", **network)
    for one, other in zip(seeds(model), seeds(plain), strict=True):
        np.testing.assert_array_equal(one, other)
    plain.set_weights(model.get_weights())
    before = toy.weights(plain)
    toy.step(model)
    toy.step(plain)
    toy.assert_near(toy.weights(model), toy.weights(plain), atol=1e-5)
    assert toy.distance(before, toy.weights(plain)) > 0.01


def test_new_random_numbers_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    same, new = (
        step_with(
            keras_mtl.strategies.FSMTL("sum", rho=0.0, random_numbers=name),
            dropout=0.5,
            dropout_seed=7,
        )
        for name in ("same", "new")
    )
    assert toy.distance(toy.weights(same), toy.weights(new)) > 0.01
    for one, other in zip(seeds(same), seeds(new), strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_task_has_random_numbers_of_its_own():
    strategy = keras_mtl.strategies.FSMTL(
        "sum", rho=0.0, random_numbers="new", combine="direct"
    )
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    dropped = keras.layers.Dropout(0.5, seed=7)(inputs)
    # The same head twice: only the masks of their passes differ.
    heads = {
        name: keras.layers.Dense(1, kernel_initializer="ones", name=name)(
            dropped
        )
        for name in ("left", "right")
    }
    model = keras_mtl.MultiTaskModel(inputs, heads)
    x, _ = toy.data()
    y = dict.fromkeys(heads, x[:, :1])
    toy.compiled(model, strategy, loss=dict.fromkeys(heads, "mse"))
    model.train_on_batch(x, y)
    left, right = (
        keras.ops.convert_to_numpy(model.get_layer(name).kernel)
        for name in heads
    )
    assert np.max(np.abs(left - right)) > 1e-3


def test_without_random_layers_there_is_nothing_to_draw():
    weights = [
        toy.weights(
            step_with(keras_mtl.strategies.FSMTL("pcgrad", random_numbers=name))
        )
        for name in ("same", "new")
    ]
    toy.assert_near(*weights, atol=1e-6)


def test_the_choice_is_part_of_the_config():
    strategy = keras_mtl.strategies.FSMTL(random_numbers="new")
    copy = keras_mtl.strategies.deserialize(
        keras_mtl.strategies.serialize(strategy)
    )
    assert copy.flatness.random_numbers == "new"
    assert keras_mtl.flatness.TaskSAM().random_numbers == "same"
    with pytest.raises(ValueError, match="random_numbers=other"):
        keras_mtl.flatness.TaskSAM(random_numbers="other")


@pytest.mark.parametrize(
    "cls", [keras_mtl.flatness.SAMO, keras_mtl.flatness.MomentumSAM]
)
@pytest.mark.parametrize("name", ["interval", "random_numbers", "scaling"])
def test_arguments_that_would_be_ignored_are_refused(cls, name):
    with pytest.raises(ValueError, match=f"has no argument `{name}`"):
        cls(**{name: 2})
