"""Weights and state of layers that are not variables of the model."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from training import toy

BACKEND = keras.backend.backend()
OUTSIDE = keras.random.SeedGenerator(7)


class Noise(keras.layers.Layer):
    """Adds random numbers from a generator that is not its own."""

    def __init__(self, seed):
        super().__init__()
        self.draw = lambda shape: keras.random.normal(shape, seed=seed)

    def compute_output_shape(self, shape):
        return shape

    def call(self, x):
        return x + self.draw(ops.shape(x))


class Tracks(keras.layers.Layer):
    """Keeps the mean size of its inputs."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.size = keras.metrics.Mean(name="size")

    def call(self, x):
        self.size.update_state(ops.mean(ops.abs(x)))
        return x


class Centres(keras.layers.Layer):
    """Takes from its inputs their moving mean, which it updates before."""

    def build(self, shape):
        self.mean = self.add_weight(
            shape=shape[1:], initializer="zeros", trainable=False
        )

    def call(self, x):
        self.mean.assign(0.5 * self.mean + 0.5 * ops.mean(x, axis=0))
        return x - self.mean


class TracksLoss(keras_mtl.MultiTaskModel):
    """Keeps the mean of one loss, times 10."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.scaled = keras.metrics.Mean(name="scaled")

    def compute_task_losses(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        losses = super().compute_task_losses(
            x, y, y_pred, sample_weight, training
        )
        self.scaled.update_state(10 * losses["left"])
        return losses


def model_behind(layer, cls=keras_mtl.MultiTaskModel):
    """Two linear heads behind a layer of one's own."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = layer(inputs)
    right = keras.layers.Dense(3, activation="softmax", name="right")
    return cls(
        inputs,
        {
            "left": keras.layers.Dense(1, name="left")(features),
            "right": right(features),
        },
    )


@pytest.mark.parametrize("seed", [None, OUTSIDE], ids=["global", "outside"])
@pytest.mark.parametrize("strategy", ["ew", "fs_mtl", "famo"])
def test_random_numbers_go_on_from_step_to_step(seed, strategy):
    model = model_behind(Noise(seed))
    toy.compiled(model, strategy, keras.optimizers.SGD(0.0))
    if BACKEND == "jax":
        # With `strategy=None` it ends in an error, too.
        with pytest.raises(ValueError, match="SeedGenerator|seed"):
            toy.step(model)
            toy.step(model)
        return
    found = {float(toy.step(model)["left_loss"]) for _ in range(3)}
    assert len(found) == 3


@pytest.mark.parametrize("strategy", ["ew", "fs_mtl"])
def test_metrics_of_layers_and_losses_count_each_step_once(strategy):
    x, y = toy.data()
    model = model_behind(Tracks(), TracksLoss)
    toy.compiled(model, strategy, keras.optimizers.SGD(0.0))
    logs = toy.fit(model, x, y, epochs=1)
    assert logs["size"][0] == pytest.approx(np.abs(x).mean(), rel=1e-5)
    assert logs["scaled"][0] == pytest.approx(
        10 * logs["left_loss"][0], rel=1e-5
    )


@pytest.mark.parametrize("strategy", ["ew", "upgrad", "fs_mtl"])
def test_scales_of_float8_are_assigned(strategy):
    x, y = toy.data()
    layer = keras.layers.Dense(16, activation="relu")
    model = model_behind(layer)
    layer.quantize("float8")
    toy.compiled(model, strategy, keras.optimizers.SGD(1e-6))
    toy.fit(model, x, y, batch_size=len(x), epochs=2)
    kernel, inputs = (
        ops.convert_to_numpy(history)
        for history in (layer.kernel_amax_history, layer.inputs_amax_history)
    )
    assert inputs.max() == pytest.approx(np.abs(x).max(), rel=1e-3)
    weights = ops.convert_to_numpy(layer._kernel)
    assert kernel.max() == pytest.approx(np.abs(weights).max(), rel=1e-3)


@pytest.mark.skipif(BACKEND != "torch", reason="modules are torch's")
@pytest.mark.parametrize("strategy", ["ew", "fs_mtl"])
def test_torch_modules_are_trained_as_layers_are(strategy):
    import torch

    def model(wrapped):
        keras.utils.set_random_seed(3)
        layer = keras.layers.Dense(4)
        norm = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        layer.build((None, 6))
        if wrapped:
            linear = torch.nn.Linear(6, 4)
            with torch.no_grad():
                linear.weight.copy_(layer.kernel.value.T)
                linear.bias.copy_(layer.bias.value)
            layer = keras.layers.TorchModuleWrapper(
                torch.nn.Sequential(linear, torch.nn.BatchNorm1d(4)),
                output_shape=(None, 4),
            )
            norm = keras.layers.Identity()
        made = model_behind(keras.Sequential([layer, norm]))
        return toy.compiled(made, strategy, keras.optimizers.SGD(0.1))

    own, wrapped = model(False), model(True)
    for each in (own, wrapped):
        toy.fit(each)
    x, _ = toy.data()
    toy.assert_near(
        toy.arrays([own.get_layer("left").kernel]),
        toy.arrays([wrapped.get_layer("left").kernel]),
        atol=1e-5,
    )
    # Moving averages moved once a step. torch's are of the unbiased variance.
    module = wrapped.layers[1].layers[0].module[1]
    norm = own.layers[1].layers[1]
    assert int(module.num_batches_tracked) == 6
    np.testing.assert_allclose(
        module.running_mean.numpy(),
        ops.convert_to_numpy(norm.moving_mean),
        atol=1e-5,
    )


@pytest.mark.skipif(BACKEND != "tensorflow", reason="others follow a pass")
def test_rematerialised_layers_train_as_others_do():
    found = []
    for mode in (None, "full"):
        keras.utils.set_random_seed(3)
        with keras.RematScope(mode=mode):
            layer = keras.layers.Dense(4, activation="tanh")
        model = toy.compiled(model_behind(layer), "fs_mtl")
        toy.fit(model)
        found.append(toy.weights(model))
    toy.assert_near(*found)


def test_gradients_pass_through_state_where_they_do_in_keras():
    updates = []
    for cls, strategy in (
        (keras.Model, {}),
        (keras_mtl.MultiTaskModel, {"strategy": "ew"}),
    ):
        keras.utils.set_random_seed(0)
        behind = keras.Sequential([keras.layers.Dense(4), Centres()])
        model = model_behind(behind, cls)
        model.compile(keras.optimizers.SGD(0.1), toy.losses(), **strategy)
        x, y = toy.data()
        for _ in range(2):
            model.train_on_batch(x, y)
        updates.append(toy.arrays(model.weights))
    toy.assert_near(*updates, atol=1e-6)
