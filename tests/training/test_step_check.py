"""The look at a batch before a plan's first step."""

import logging

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl import backend
from keras_mtl.backend import common_bypass
from keras_mtl.models.task_structure import TaskStructure
from training import toy

BACKEND = keras.backend.backend()


class Bare(keras.layers.Layer):
    """A dense layer that reads its weight in a way of its own.

    Args:
        read: Maps the layer's variable to a tensor.
    """

    def __init__(self, read, **kwargs):
        super().__init__(**kwargs)
        self.read = read

    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 4), name="matrix")

    def compute_output_shape(self, shape):
        return (*shape[:-1], 4)

    def call(self, x):
        return ops.tanh(x @ self.read(self.matrix))


def model_with(layer):
    """A layer of one's own in the trunk, and what it takes for fit."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = layer(inputs)
    outputs = {
        "left": keras.layers.Dense(1)(features),
        "right": keras.layers.Dense(3, activation="softmax")(features),
    }
    return keras_mtl.MultiTaskModel(inputs, outputs)


def refused(model, strategy, match):
    """Asserts that `fit` raises before it changes anything."""
    toy.compiled(model, strategy, keras.optimizers.Adam(0.1), run_eagerly=False)
    before = toy.arrays([*model.variables, *model.optimizer.variables])
    with pytest.raises(ValueError, match=match):
        toy.fit(model, epochs=1)
    after = toy.arrays([*model.variables, *model.optimizer.variables])
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("strategy", ["upgrad", "fs_mtl"])
def test_a_weight_that_is_read_past_the_scope_is_refused(strategy):
    layer = Bare(lambda variable: variable._value, name="bare")
    refused(model_with(layer), strategy, "bare/matrix' of the Bare 'bare'")


def test_a_reach_that_is_out_of_date_is_refused(monkeypatch):
    model = toy.make_model()
    trunk = model.get_layer("trunk").kernel
    find = TaskStructure.find_reach

    def stale(self, tasks=None):
        return {
            task: [v for v in variables if v is not trunk]
            for task, variables in find(self, tasks).items()
        }

    monkeypatch.setattr(TaskStructure, "find_reach", stale)
    monkeypatch.setattr(TaskStructure, "correct_reach", lambda *_: False)
    refused(model, "upgrad", "trunk/kernel")


def compiled_call(layer):
    """A layer whose call is compiled by the framework itself."""
    if BACKEND == "jax":
        import jax

        layer.call = jax.jit(layer.call)
    else:
        import tensorflow

        layer.call = tensorflow.function(layer.call)
    return layer


@pytest.mark.skipif(BACKEND == "torch", reason="torch.compile reads anew")
def test_a_call_that_has_kept_its_weights_is_refused():
    layer = compiled_call(Bare(lambda v: v.value, name="bare"))
    name = "jax.jit" if BACKEND == "jax" else "bare/matrix"
    refused(model_with(layer), "fs_mtl", name)


@pytest.mark.skipif(BACKEND != "torch", reason="elsewhere they follow a pass")
def test_rematerialised_layers_are_refused():
    with keras.RematScope(mode="full"):
        layer = keras.layers.Dense(4, activation="tanh", name="again")
    refused(model_with(layer), "fs_mtl", "again/kernel")


@pytest.mark.skipif(BACKEND != "torch", reason="modules are torch's")
def test_a_torch_module_that_nobody_follows_is_refused(monkeypatch):
    import torch

    wrapper = keras.layers.TorchModuleWrapper(
        torch.nn.Linear(6, 4), output_shape=(None, 4), name="wrapped"
    )
    monkeypatch.setattr(backend, "Bypass", common_bypass.Bypass)
    refused(model_with(wrapper), "upgrad", "gradients of")


def test_a_plan_is_looked_at_once(monkeypatch):
    batches = []
    look = keras_mtl.models.first_look.check_step

    def counted(model, batch):
        batches.append(np.shape(batch.x))
        return look(model, batch)

    monkeypatch.setattr("keras_mtl.models.first_look.check_step", counted)
    model = toy.compiled(toy.make_model(), "mgda")
    toy.fit(model)
    toy.fit(model)
    assert batches == [(8, 6)]
    toy.fit(model, strategy="ew")
    model.get_layer("trunk").trainable = False
    toy.fit(model)
    assert len(batches) == 3
    toy.compiled(model, "mgda", check="never")
    toy.fit(model)
    assert len(batches) == 3


def test_a_batch_that_is_not_finite_says_nothing():
    x, y = toy.data()
    x[:8] = np.nan
    layer = Bare(lambda variable: variable._value, name="bare")
    model = toy.compiled(model_with(layer), "upgrad", on_nonfinite="skip")
    with pytest.raises(ValueError, match="bare/matrix"):
        toy.fit(model, x, y)


@pytest.mark.skipif(BACKEND == "jax", reason="no numbers of its own there")
def test_random_numbers_of_ones_own_are_told_of(caplog):
    generator = np.random.default_rng(0)

    def noisy(variable):
        noise = generator.normal(size=variable.shape).astype("float32")
        return variable.value + ops.convert_to_tensor(noise)

    model = toy.compiled(model_with(Bare(noisy)), "upgrad")
    with caplog.at_level(logging.WARNING, "keras_mtl"):
        toy.fit(model, epochs=1)
    assert "draw random numbers" in caplog.text


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_few_digits_are_no_fault(policy):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(32, activation="tanh", dtype=policy)(inputs)
    features = keras.layers.Dense(32, activation="relu", dtype=policy)(features)
    outputs = {
        "left": keras.layers.Dense(1)(features),
        "right": keras.layers.Dense(3, activation="softmax")(features),
    }
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    toy.compiled(model, "fs_mtl", run_eagerly=True)
    toy.fit(model, epochs=1)


class Stop(keras.layers.Layer):
    def call(self, x):
        return ops.stop_gradient(x)


def probed():
    """A head behind a cut gradient."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    trunk = keras.layers.Dense(4, activation="tanh", name="trunk")(inputs)
    outputs = {
        "left": keras.layers.Dense(1)(trunk),
        "right": keras.layers.Dense(3, activation="softmax")(Stop()(trunk)),
    }
    return keras_mtl.MultiTaskModel(inputs, outputs)


def test_a_cut_gradient_is_no_part_of_the_reach(tmp_path):
    model = toy.compiled(probed(), "db_mtl")
    toy.fit(model, epochs=1)
    assert model.shared_variables == []
    paths = [variable.path for variable in model.task_variables["left"]]
    assert "trunk/kernel" in paths
    # A file goes on with it, although the graph does not tell.
    model.save(tmp_path / "model.keras")
    custom = {"Stop": Stop}
    loaded = keras.models.load_model(tmp_path / "model.keras", custom)
    assert loaded.shared_variables == []
    for each in (model, loaded):
        toy.fit(each, epochs=1)
    toy.assert_same(toy.weights(model), toy.weights(loaded))


class Mixed(keras_mtl.MultiTaskModel):
    """The loss of one task looks at the output of the other, too."""

    def compute_task_losses(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        losses = super().compute_task_losses(
            x, y, y_pred, sample_weight, training
        )
        size = ops.mean(ops.square(y_pred["right"]))
        return {**losses, "left": losses["left"] + size}


def test_a_loss_that_looks_at_two_outputs_reaches_both():
    model = toy.compiled(toy.make_model(Mixed), "ew")
    plain = toy.compiled(toy.make_model(Mixed))
    for each in (model, plain):
        toy.fit(each, epochs=1)
    paths = [variable.path for variable in model.shared_variables]
    assert "right/kernel" in paths
    toy.assert_near(toy.weights(model), toy.weights(plain))


@pytest.mark.skipif(BACKEND == "jax", reason="gradients are traced there")
def test_layers_that_only_run_eagerly_do():
    seen = []

    def read(variable):
        seen.append(float(ops.convert_to_numpy(variable.value).max()))
        return variable.value

    model = toy.compiled(
        model_with(Bare(read)), "upgrad", run_eagerly=True, check="first"
    )
    seen.clear()
    toy.fit(model, epochs=1)
    assert seen
