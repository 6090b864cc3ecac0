"""Methods of Keras and of keras_mtl that a model overrides."""

import keras
import numpy as np
import pytest
from keras import ops
from training import toy

import keras_mtl


class OwnLoss(keras_mtl.MultiTaskModel):
    def compute_loss(self, *args, **kwargs):
        return 1000.0 + super().compute_loss(*args, **kwargs)


class OwnStep(keras_mtl.MultiTaskModel):
    def train_step(self, *args):
        return {}


class PassesOn(keras_mtl.MultiTaskModel):
    steps = 0

    def train_step(self, *args):
        self.steps += 1
        step = super()

        def run():
            return step.train_step(*args)

        return run()

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**logs, "constant": 7.0}


@pytest.mark.parametrize(
    "cls, way_out",
    [(OwnLoss, "compute_task_losses"), (OwnStep, "super().train_step")],
)
def test_what_a_strategy_would_not_call_is_refused(cls, way_out):
    model = toy.make_model(cls)
    with pytest.raises(ValueError) as error:
        toy.compiled(model, "ew")
    assert cls.__name__ in str(error.value)
    assert way_out in str(error.value)
    assert not model.compiled
    toy.compiled(model)
    with pytest.raises(ValueError, match=cls.__name__):
        model.fit(*toy.data(), strategy="ew")
    assert model.strategy is None


def test_plain_training_has_the_loss_of_its_own():
    logs = toy.step(toy.compiled(toy.make_model(OwnLoss)))
    assert 1000 < logs["loss"] < 1010


def test_methods_of_an_instance_count():
    model = toy.compiled(toy.make_model(), "ew")
    model.compute_loss = lambda *args, **kwargs: ops.zeros(())
    with pytest.raises(ValueError, match="overrides `compute_loss`"):
        model.fit(*toy.data(), verbose=0)
    del model.compute_loss
    constant = ops.convert_to_tensor(2.5)
    model.compute_task_losses = lambda x, y, y_pred, *args, **kwargs: {
        task: constant + 0.0 * ops.sum(y_pred[task]) for task in model.tasks
    }
    logs = model.fit(*toy.data(), verbose=0).history
    assert logs["loss"] == pytest.approx([5.0])
    # Also where one task is looked at alone.
    toy.compiled(model, toy.fs_mtl())
    assert toy.step(model)["loss"] == pytest.approx(5.0)


def test_overrides_that_pass_on():
    model = toy.compiled(toy.make_model(PassesOn), "ew")
    logs = toy.step(model)
    assert model.steps >= 1
    assert logs["constant"] == 7.0
    plain = toy.compiled(toy.make_model(), "ew")
    assert toy.step(plain)["loss"] == pytest.approx(logs["loss"])


@pytest.mark.parametrize(
    "losses, text",
    [
        ({"left": 1.0}, "for nothing else"),
        ({"left": 1.0, "right": 1.0, "third": 1.0}, "third"),
        ({"left": 1.0, "right": np.ones(8)}, r"scalar.*\(8,\) for 'right'"),
    ],
)
def test_what_compute_task_losses_returns(losses, text):
    model = toy.compiled(toy.make_model(), "ew", run_eagerly=True)
    model.compute_task_losses = lambda *args, **kwargs: {
        task: ops.convert_to_tensor(loss, "float32")
        for task, loss in losses.items()
    }
    with pytest.raises(ValueError, match=text):
        toy.step(model)


def derivative(function, x):
    """The derivative of a sum of outputs by the inputs."""
    if toy.BACKEND == "jax":
        import jax

        return jax.grad(lambda x: ops.sum(function(x)))(x)
    if toy.BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = function(x)
        return tape.gradient(outputs, x)
    import torch

    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]


class Slope(keras_mtl.MultiTaskModel):
    """The first task is that its output has slope 1."""

    def compute_task_losses(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        slope = derivative(lambda x: self(x, training=training)["left"], x)
        return {
            "left": ops.mean(ops.square(slope - 1)),
            "right": ops.mean(ops.square(y_pred["right"])),
        }


@pytest.mark.parametrize("strategy", ["famo", "ew"])
def test_losses_of_derivatives_by_the_inputs(strategy):
    inputs = keras.Input((1,))
    features = keras.layers.Dense(1, kernel_initializer="ones")(inputs)
    model = Slope(
        inputs,
        {
            task: keras.layers.Dense(
                1, kernel_initializer=keras.initializers.Constant(3.0)
            )(features)
            for task in ("left", "right")
        },
    )
    model.compile(keras.optimizers.SGD(0.0), "mse", strategy=strategy)
    x = np.linspace(0, 1, 8, dtype="float32")[:, None]
    logs = model.fit(
        x, {"left": x, "right": x}, validation_data=(x, (x, x)), verbose=0
    ).history
    assert logs["left_loss"] == pytest.approx([4.0])
    assert logs["val_left_loss"] == pytest.approx([4.0])
