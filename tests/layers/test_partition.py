"""Which variables of the layers are shared, and which a task's own."""

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl import layers

TASKS = ("left", "right")


def dense():
    return keras.layers.Dense(3, activation="tanh")


def functional(layer, stitch=False):
    inputs = keras.Input((5,))
    features = inputs
    if stitch:
        features = {
            task: keras.layers.Dense(4, name=f"body_{task}")(inputs)
            for task in TASKS
        }
    features = layer(features)
    outputs = {
        task: keras.layers.Dense(1, name=f"head_{task}")(features[task])
        for task in TASKS
    }
    return keras_mtl.MultiTaskModel(inputs, outputs)


class Subclassed(keras_mtl.MultiTaskModel):
    def __init__(self, layer, stitch=False):
        super().__init__()
        self.layer = layer
        self.bodies = {}
        if stitch:
            self.bodies = {
                task: keras.layers.Dense(4, name=f"body_{task}")
                for task in TASKS
            }
        self.heads = {
            task: keras.layers.Dense(1, name=f"head_{task}") for task in TASKS
        }

    def call(self, inputs):
        features = inputs
        if self.bodies:
            features = {task: self.bodies[task](inputs) for task in TASKS}
        features = self.layer(features)
        return {task: self.heads[task](features[task]) for task in TASKS}


def subclassed(layer, stitch=False):
    model = Subclassed(layer, stitch)
    model(np.ones((2, 5), "float32"))
    model.compile("sgd", loss=dict.fromkeys(TASKS, "mse"))
    return model


def parts(variables):
    """Names of the sub-layers, or of variables of the layer itself."""
    return {
        next(
            part
            for part in variable.path.split("/")
            if part.startswith(("body", "head"))
            or part.endswith(("_gate", "_weights"))
            or "expert_" in part
        )
        for variable in variables
    }


CASES = {
    "mmoe": (
        lambda: layers.MMoE(TASKS, dense(), 2, name="layer"),
        {"expert_0", "expert_1"},
        ["gate"],
    ),
    "mmoe_dselect_k": (
        lambda: layers.MMoE(
            TASKS, dense(), 3, gate=layers.DSelectK(k=2), name="layer"
        ),
        {"expert_0", "expert_1", "expert_2"},
        ["gate"],
    ),
    "cgc": (
        lambda: layers.CGC(TASKS, dense(), name="layer"),
        {"shared_expert_0"},
        ["gate", "expert_0"],
    ),
    "cross_stitch": (
        lambda: layers.CrossStitch(TASKS, name="layer"),
        {"body_left", "body_right"},
        ["weights"],
    ),
}


@pytest.mark.parametrize("make_model", [functional, subclassed])
@pytest.mark.parametrize("name", CASES)
def test_partition(name, make_model):
    make, shared, own = CASES[name]
    model = make_model(make(), stitch=name == "cross_stitch")
    assert parts(model.shared_variables) == shared
    for task in TASKS:
        assert parts(model.task_variables[task]) == {
            f"head_{task}",
            *(f"{task}_{part}" for part in own),
        }
    partition = model.partition()
    assert not partition.idle


@pytest.mark.parametrize("make_model", [functional, subclassed])
def test_own_experts_of_early_levels_reach_all_tasks(make_model):
    layer = layers.PLE(TASKS, dense(), name="layer")
    model = make_model(layer)
    first, last = layer.levels

    def ids(variables):
        return {id(variable) for variable in variables}

    def of(sublayers):
        return [v for sublayer in sublayers for v in sublayer.variables]

    shared = of([*first.experts, first.gates["shared"], last.experts[-1]])
    assert ids(model.shared_variables) == ids(shared)
    for k, task in enumerate(TASKS):
        own = of([first.gates[task], last.gates[task], last.experts[k]])
        assert ids(model.task_variables[task]) >= ids(own)
        # The others are kernel and bias of the head.
        assert len(model.task_variables[task]) == len(own) + 2


@pytest.mark.parametrize("make_model", [functional, subclassed])
def test_one_gate_is_shared(make_model):
    layer = layers.MixtureOfExperts(dense(), 2)

    class ForBoth(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def build(self, inputs_shape):
            self.layer.build(inputs_shape)

        def call(self, inputs):
            return dict.fromkeys(TASKS, self.layer(inputs))

    model = make_model(ForBoth())
    found = {id(variable) for variable in model.shared_variables}
    assert found == {id(variable) for variable in layer.variables}
