"""Odd models, data and settings, each with what one would expect of it."""

import keras
import numpy as np
import pytest

import keras_mtl
from training import toy

#: What needs data of its own, or more tasks.
NEEDY = ("auto_lambda", "krum", "trimmed_mean")
#: What weighs the losses, and so changes the gradients of heads.
BALANCING = (
    *("cosmos", "db_mtl", "dwa", "famo", "gls", "imtl_l", "log", "pbi"),
    *("rlw", "soft_adapt", "stch", "uw"),
)
#: What takes gradients elsewhere than at the weights.
MOVING = ("fs_mtl", "global_sam", "momentum_sam", "samo", "task_sam")
PLAIN_HEADS = [
    name
    for name in keras_mtl.strategies.names()
    if name not in (*NEEDY, *BALANCING, *MOVING)
]
#: What a single gradient comes out of as it went in.
IDENTITIES = ("mean", "mgda", "pcgrad", "upgrad", "dual_proj", "gradvac")


def sgd():
    return keras.optimizers.SGD(0.1)


def one_step(model, strategy, **kwargs):
    """Returns the weights after one step from the same weights."""
    toy.compiled(model, strategy, sgd(), **kwargs)
    toy.step(model)
    return toy.weights(model)


def frozen_trunk(cls=keras_mtl.MultiTaskModel):
    model = toy.make_model(cls)
    model.get_layer("trunk").trainable = False
    return model


def check_frozen_trunk(strategy):
    """With a frozen trunk, heads get their plain gradients."""
    expected = one_step(frozen_trunk(keras.Model), None)
    # float32, by other programs.
    toy.assert_near(one_step(frozen_trunk(), strategy), expected, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"aggregator": "gradvac"},
        {"aggregator": "pcd", "memory": "low"},
        {"aggregator": "pcd", "gradients": "representation"},
    ],
    ids=["gradvac", "pcd_low_memory", "pcd_representation"],
)
def test_frozen_trunk(settings):
    check_frozen_trunk(keras_mtl.Strategy(**settings))


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN_HEADS)
def test_frozen_trunk_by_every_method(name):
    check_frozen_trunk(name)


def check_one_task(name):
    """With one task, the step is that of plain Keras."""
    loss = {"left": "mse", "right": None}
    whole = toy.make_model(keras.Model)
    expected = keras.Model(whole.input, whole.outputs[0])
    expected.compile(sgd(), "mse")
    before = toy.weights(whole)
    x, y = toy.first_batch()
    expected.train_on_batch(x, y["left"])
    model = toy.make_model()
    toy.compiled(model, name, sgd(), loss=loss)
    toy.step(model)
    # The head without a loss stays.
    assert toy.distance(toy.weights(whole), before) > 1e-3
    toy.assert_same(toy.weights(whole)[-2:], before[-2:])
    toy.assert_near(toy.weights(model), toy.weights(whole), atol=1e-6)


@pytest.mark.parametrize("name", ["mgda"])
def test_one_task(name):
    check_one_task(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", IDENTITIES)
def test_one_task_by_every_method(name):
    check_one_task(name)


def many_tasks(count):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    features = keras.layers.Dense(4, activation="tanh")(inputs)
    names = [f"task_{k}" for k in range(count)]
    model = keras_mtl.MultiTaskModel(
        inputs, {name: keras.layers.Dense(1)(features) for name in names}
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 3)).astype("float32")
    labels = rng.normal(size=(count, 8, 1)).astype("float32")
    return model, x, dict(zip(names, labels, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ew", "mgda", "db_mtl", "famo", "pcgrad"])
def test_64_tasks(name):
    model, x, y = many_tasks(64)
    model.compile(sgd(), dict.fromkeys(y, "mse"), strategy=name)
    before = toy.weights(model)
    for _ in range(3):
        logs = model.train_on_batch(x, y, return_dict=True)
    assert len(logs) == 65
    assert toy.distance(before, toy.weights(model)) > 1e-4
    for array in toy.weights(model) + toy.arrays(model.strategy.variables):
        assert np.all(np.isfinite(array))


def test_a_head_without_weights():
    """It adds its gradient to the trunk's, and gets none."""

    def make(cls):
        keras.utils.set_random_seed(2)
        inputs = keras.Input((6,))
        features = keras.layers.Dense(3, name="trunk")(inputs)
        right = keras.layers.Activation("softmax", name="right")(features)
        left = keras.layers.Dense(1, name="left")(features)
        return cls(inputs, {"left": left, "right": right})

    expected = one_step(make(keras.Model), None)
    model = make(keras_mtl.MultiTaskModel)
    actual = one_step(model, "mgda")
    assert model.task_variables["right"] == []
    # The gradient of a head is its own whatever is done to the trunk's.
    toy.assert_near(actual[2:], expected[2:], atol=1e-6)
    assert toy.distance(actual[:2], toy.weights(make(keras.Model))[:2]) > 1e-4


def test_one_model_through_odd_batches():
    """A rate of 0, one sample, perfect predictions, in one model."""
    model = toy.make_model(batch_norm=True)
    optimizer = sgd()
    toy.compiled(model, "pcgrad", optimizer)
    x, y = toy.first_batch()
    toy.step(model, x, y)
    optimizer.learning_rate = 0.0
    before = toy.arrays(model.trainable_variables)
    toy.step(model, x, y)
    toy.assert_same(toy.arrays(model.trainable_variables), before)
    optimizer.learning_rate = 0.1
    logs = toy.step(model, x[:1], {k: v[:1] for k, v in y.items()})
    assert np.isfinite(logs["loss"])
    assert toy.distance(before, toy.arrays(model.trainable_variables)) > 1e-6
    model.get_layer("left").kernel.assign(np.zeros((8, 1)))
    model.get_layer("left").bias.assign(np.zeros(1))
    logs = toy.step(model, x, {**y, "left": np.zeros_like(y["left"])})
    assert logs["left_loss"] == 0.0
    for array in toy.weights(model):
        assert np.all(np.isfinite(array))


def test_labels_vanish_for_an_epoch():
    """That epoch is one of the other task alone."""
    x, y = toy.data()
    unlabelled = {**y, "left": np.full_like(y["left"], np.nan)}
    model = toy.compiled(toy.make_model(), "mgda", sgd())
    toy.fit(model, x, y, epochs=1)
    start = model.get_weights()
    history = toy.fit(model, x, unlabelled, epochs=1)
    # Not 0, which would be the best of all epochs.
    assert np.isnan(history["left_loss"][0])
    assert history["loss"][0] == pytest.approx(history["right_loss"][0])
    whole = toy.make_model(keras.Model)
    alone = keras.Model(whole.input, whole.outputs[1])
    whole.set_weights(start)
    alone.compile(sgd(), "sparse_categorical_crossentropy")
    alone.fit(x, y["right"], batch_size=8, shuffle=False, verbose=0)
    toy.assert_near(toy.weights(model), toy.weights(whole), atol=1e-6)


class WithEmptyBatch(keras.utils.PyDataset):
    """Two batches, the second of which has no samples."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        x, y = toy.first_batch()
        size = 8 if index == 0 else 0
        return x[:size], {k: v[:size] for k, v in y.items()}


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_batch_without_samples(batch_norm):
    """An error that says so; the other batches count."""
    model = toy.make_model(batch_norm=batch_norm)
    toy.compiled(model, "ew", keras.optimizers.SGD(0.1, momentum=0.9))
    expected = toy.make_model(batch_norm=batch_norm)
    toy.compiled(expected, "ew", keras.optimizers.SGD(0.1, momentum=0.9))
    expected.train_on_batch(*toy.first_batch())
    with pytest.raises(ValueError, match="samples"):
        model.fit(WithEmptyBatch(), verbose=0, shuffle=False)
    toy.assert_same(toy.snapshot(model), toy.snapshot(expected))
    x, y = toy.first_batch(0)
    with pytest.raises(ValueError, match="no samples of task 'left'"):
        model.fit(x, y)
    toy.assert_same(toy.snapshot(model), toy.snapshot(expected))
