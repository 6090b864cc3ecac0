"""How often a step runs what, and how often state moves."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from training import toy


class Counted(keras.layers.Dense):
    """Counts its calls: of each step on torch, of each trace elsewhere."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.calls = 0

    def call(self, inputs, training=None):
        self.calls += 1
        return super().call(inputs)


def functional(layers):
    inputs = keras.Input((6,))
    features = layers["trunk"](inputs)
    outputs = {task: layers[task](features) for task in ("a", "b", "c")}
    return keras_mtl.MultiTaskModel(inputs, outputs)


def trunk_and_heads(layers):
    model = keras_mtl.MultiTaskModel(
        trunk=layers["trunk"],
        heads={task: layers[task] for task in ("a", "b", "c")},
    )
    model(np.zeros((1, 6), dtype="float32"))
    return model


def calls_of(make, strategy):
    """Calls in one step, or in one trace of it, by layer."""
    keras.utils.set_random_seed(3)
    layers = {"trunk": Counted(4, name="trunk")}
    layers.update({task: Counted(1, name=task) for task in ("a", "b", "c")})
    model = make(layers)
    loss = dict.fromkeys(("a", "b", "c"), "mse")
    toy.compiled(model, strategy, loss=loss)
    x, _ = toy.first_batch()
    y = dict.fromkeys(("a", "b", "c"), x[:, :1])
    if toy.BACKEND == "torch":
        toy.step(model, x, y)  # Keras looks at the metrics in the first.
    for layer in layers.values():
        layer.calls = 0
    toy.step(model, x, y)
    return [layer.calls for layer in layers.values()]


@pytest.mark.parametrize("make", [functional, trunk_and_heads])
def test_perturbed_passes_run_their_own_head_only(make):
    # One clean pass, then three of the trunk and one head.
    assert calls_of(make, toy.fs_mtl()) == [4, 2, 2, 2]


@pytest.mark.parametrize("name", ["ew", "db_mtl"])
def test_one_forward_pass_without_flatness(name):
    assert calls_of(functional, name) == [1, 1, 1, 1]


def test_global_flatness_runs_the_model_twice():
    strategy = keras_mtl.Strategy(flatness="global_sam")
    assert calls_of(functional, strategy) == [2, 2, 2, 2]


def test_global_flatness_takes_two_gradients_of_sums(monkeypatch):
    def task_gradients(*_, **__):
        raise AssertionError("One gradient of each task was taken.")

    monkeypatch.setattr(
        "keras_mtl.training.passes.Pass.task_gradients", task_gradients
    )
    calls_of(functional, keras_mtl.Strategy(flatness="global_sam"))


@pytest.mark.parametrize("name", toy.STRATEGIES)
def test_state_moves_once_per_step(name):
    def make(cls=keras_mtl.MultiTaskModel):
        return toy.make_model(cls, batch_norm=True, dropout=0.3, dropout_seed=4)

    model = toy.compiled(make(), toy.fresh_strategy(name))
    theirs = toy.compiled(make(keras.Model))
    toy.step(model)
    toy.step(theirs)
    for path in ("moving_mean", "moving_variance"):
        ours_value = getattr(model.get_layer("bn"), path)
        their_value = getattr(theirs.get_layer("bn"), path)
        toy.assert_near(toy.arrays([ours_value]), toy.arrays([their_value]))
    toy.step(model)
    state = model.get_layer("drop").seed_generator.state
    assert ops.convert_to_numpy(state.value).tolist() == [4, 2]
    assert int(ops.convert_to_numpy(model.strategy.iterations.value)) == 2
    assert int(ops.convert_to_numpy(model.optimizer.iterations.value)) == 2
