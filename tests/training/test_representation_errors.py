"""What has no representation, and what needs gradients of the weights."""

import keras
import numpy as np
import pytest

import keras_mtl
from training import toy
from training.representation_networks import TASKS
from training.representation_networks import dense
from training.representation_networks import heads_of
from training.representation_runs import everything
from training.representation_runs import inputs_of
from training.representation_runs import labels_of
from training.representation_runs import strategy


@pytest.mark.parametrize(
    "kwargs, match",
    [
        ({"flatness": "task_sam"}, "TaskSAM perturbs along gradients"),
        ({"flatness": "global_sam"}, "GlobalSAM perturbs along gradients"),
        ({"granularity": "layer"}, "groups gradients of the weights"),
        ({"aggregator": "db_mtl"}, "DBMTL keeps averages"),
        ({"aggregator": "moco"}, "MoCo keeps averages"),
        ({"aggregator": "excess_mtl"}, "ExcessMTL keeps averages"),
        ({"aggregator": "modo"}, "MoDo compares gradients of different"),
        ({"aggregator": "sdmgrad"}, "SDMGrad compares gradients of different"),
    ],
)
def test_what_needs_gradients_of_the_weights(kwargs, match):
    with pytest.raises(ValueError, match=match) as error:
        keras_mtl.Strategy(
            **{"aggregator": "mgda", **kwargs}, gradients="representation"
        )
    assert 'Use gradients="parameters"' in str(error.value)


def test_wrong_gradients():
    with pytest.raises(ValueError, match="'parameters', 'representation'"):
        keras_mtl.Strategy(gradients="features")


class Subclass(keras_mtl.MultiTaskModel):
    def __init__(self):
        super().__init__()
        self.trunk = dense(5)
        self.outs = [keras.layers.Dense(2) for _ in TASKS]

    def call(self, inputs, training=None):
        features = self.trunk(inputs)
        outputs = [head(features) for head in self.outs]
        return dict(zip(TASKS, outputs, strict=True))


def subclass():
    model = Subclass()
    model(np.zeros((1, 6), dtype="float32"))
    return model


def apart():
    inputs = keras.Input((6,))
    return keras_mtl.MultiTaskModel(
        inputs, heads_of(inputs, lambda task, inputs: dense(3)(inputs))
    )


def mixture_with_towers():
    inputs = keras.Input((6,))
    gated = keras_mtl.layers.MMoE(TASKS, [dense(4), dense(4)])(inputs)
    return keras_mtl.MultiTaskModel(
        inputs, heads_of(gated, lambda task, gated: gated[task])
    )


def trunk_used_again():
    inputs = keras.Input((6,))
    twice = dense(6, name="twice")
    features = dense(6)(twice(inputs))

    inner = keras.Sequential([twice])

    def read(task, features):
        return inner(features) if task == "a" else features

    return keras_mtl.MultiTaskModel(inputs, heads_of(features, read))


def own_inputs():
    model = keras_mtl.MultiTaskModel(
        trunk=dense(5),
        heads={task: keras.layers.Dense(2) for task in TASKS},
        task_inputs=True,
    )
    model(dict.fromkeys(TASKS, np.zeros((1, 6), dtype="float32")))
    return model


def shared_head_layer():
    shared = dense(4, name="both")
    shared.build((None, 5))
    model = keras_mtl.MultiTaskModel(
        trunk=dense(5),
        heads={
            task: keras.Sequential([shared, keras.layers.Dense(2)])
            for task in TASKS
        },
    )
    model(np.zeros((1, 6), dtype="float32"))
    return model


@pytest.mark.parametrize(
    "make, match",
    [
        (subclass, "layers of a subclassed model are not known"),
        (apart, "share no layer"),
        (mixture_with_towers, "read by one task alone"),
        (trunk_used_again, "used again behind it: twice/kernel"),
        (own_inputs, "each task has inputs of its own"),
        (shared_head_layer, "tasks also share .*both/kernel"),
    ],
)
def test_models_without_a_trunk(make, match):
    model = make()
    loss = dict.fromkeys(TASKS, "mse")
    toy.compiled(model, "ew", loss=loss)
    kept = model.strategy
    x = inputs_of("", 8)
    if make is own_inputs:
        x = dict.fromkeys(TASKS, x)
    before = everything(model)
    with pytest.raises(ValueError, match=match) as error:
        toy.fit(model, x, labels_of(8), strategy=strategy("mgda"))
    assert 'gradients="parameters"' in str(error.value)
    toy.assert_same(everything(model), before)
    assert model.strategy is kept
    toy.step(model, x, labels_of(8))


def test_fixed_weights_need_no_trunk():
    # One backward pass does it all, whatever the gradients are taken by.
    model = toy.compiled(
        subclass(), strategy("sum"), loss=dict.fromkeys(TASKS, "mse")
    )
    logs = toy.step(model, inputs_of("", 8), labels_of(8))
    assert np.isfinite(logs["loss"])
