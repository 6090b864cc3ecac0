"""Networks of a trunk and heads, of all kinds that Keras can build."""

import keras
import numpy as np

import keras_mtl
from training import toy

TASKS = ("a", "b", "c")


class Pyramid(keras.layers.Layer):
    """Returns several tensors, as a list or a dict."""

    def __init__(self, kind, **kwargs):
        super().__init__(**kwargs)
        self.kind = kind
        self.fine = keras.layers.Dense(5, activation="tanh")
        self.coarse = keras.layers.Dense(3, activation="tanh")

    def build(self, input_shape):
        self.fine.build(input_shape)
        self.coarse.build((*input_shape[:-1], 5))

    def call(self, inputs):
        fine = self.fine(inputs)
        coarse = self.coarse(fine)
        if self.kind == "dict":
            return {"fine": fine, "coarse": coarse}
        return [fine, coarse]


class PyramidHead(keras.layers.Layer):
    """Reads both tensors of a `Pyramid`."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.fine = keras.layers.Dense(units)
        self.coarse = keras.layers.Dense(units)

    def build(self, input_shape):
        self.fine.build((None, 5))
        self.coarse.build((None, 3))

    def call(self, inputs):
        if isinstance(inputs, dict):
            inputs = [inputs["fine"], inputs["coarse"]]
        return self.fine(inputs[0]) * self.coarse(inputs[1])


def pyramid(kind):
    def make():
        model = keras_mtl.MultiTaskModel(
            trunk=Pyramid(kind), heads={t: PyramidHead(2) for t in TASKS}
        )
        model(np.zeros((1, 6), dtype="float32"))
        return model

    return make


def dense(units, **kwargs):
    return keras.layers.Dense(units, activation="tanh", **kwargs)


def heads_of(features, read=lambda task, features: features):
    return {
        task: keras.layers.Dense(2, name=task)(read(task, features))
        for task in TASKS
    }


def two_cut_tensors():
    inputs = keras.Input((6,))
    fine = dense(5)(inputs)
    coarse = dense(3)(fine)
    features = {
        "a": keras.layers.Concatenate()([fine, coarse]),
        "b": keras.layers.Dense(4)(fine),
        "c": keras.layers.Dense(4)(coarse),
    }
    return keras_mtl.MultiTaskModel(
        inputs, heads_of(features, lambda task, features: features[task])
    )


def heads_that_read_inputs():
    # The names are not in the order of the list.
    inputs = [
        keras.Input((4,), name="z"),
        keras.Input((2,), name="y"),
        keras.Input((1,), name="x"),
    ]
    features = dense(5)(keras.layers.Concatenate()(inputs[:2]))

    def read(task, features):
        extra = {"a": [inputs[0]], "b": [inputs[1]], "c": inputs}[task]
        return keras.layers.Concatenate()([features, *extra])

    return keras_mtl.MultiTaskModel(inputs, heads_of(features, read))


def an_output_without_loss():
    inputs = keras.Input((6,))
    hidden = dense(5, name="hidden")(inputs)
    outputs = heads_of(dense(4)(hidden))
    # It reads what no task's own layers read.
    outputs["extra"] = keras.layers.Dense(1, name="extra")(
        keras.layers.Concatenate()([hidden, inputs])
    )
    return keras_mtl.MultiTaskModel(inputs, outputs)


def an_output_of_the_trunk():
    inputs = keras.Input((6,))
    hidden = dense(2, name="hidden")(inputs)
    return keras_mtl.MultiTaskModel(
        inputs,
        {
            "a": hidden,
            "b": keras.layers.Dense(2, name="b")(hidden),
            "c": keras.layers.Dense(2, name="c")(hidden),
        },
    )


def reused_and_nested_heads():
    """Layers that are called more than once, or belong to other graphs too."""
    inputs = keras.Input((6,))
    features = dense(5)(inputs)
    twice = dense(5, name="twice")
    penalty = keras.layers.ActivityRegularization(l2=0.1)
    inner = keras.Input((5,))
    nested = keras.Model(inner, keras.layers.Dense(2)(penalty(inner)))
    nested(keras.Input((5,)))
    return keras_mtl.MultiTaskModel(
        inputs,
        {
            "a": keras.layers.Dense(2)(penalty(twice(twice(features)))),
            "b": nested(features),
            "c": keras.layers.Dense(2)(penalty(features)),
        },
    )


def assembled(kind, trunk, heads, inputs):
    """A model of a trunk and heads, given as such or as a graph."""
    if kind == "trunk":
        model = keras_mtl.MultiTaskModel(trunk=trunk, heads=heads)
        model(np.zeros((1, *inputs.shape[1:]), dtype=inputs.dtype))
        return model
    features = trunk(inputs)
    return keras_mtl.MultiTaskModel(
        inputs, {task: heads[task](features) for task in TASKS}
    )


def state(kind):
    def make():
        trunk = keras.Sequential(
            [
                dense(5),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.4, seed=7),
                keras.layers.Dropout(0.3),
            ]
        )
        heads = {
            task: keras.Sequential(
                [
                    keras.layers.BatchNormalization(),
                    keras.layers.Dropout(0.4, seed=8),
                    keras.layers.Dense(2),
                ]
            )
            for task in TASKS
        }
        return assembled(kind, trunk, heads, keras.Input((6,)))

    return make


def penalty_layer():
    return toy.WeightPenalty(factor=0.1, input_factor=1.0)


def penalties(kind):
    def make():
        l2 = keras.regularizers.L2(0.1)
        trunk = keras.Sequential(
            [
                dense(5, kernel_regularizer=l2, activity_regularizer=l2),
                penalty_layer(),
            ]
        )
        heads = {
            "a": keras.layers.Dense(2, kernel_regularizer=l2),
            "b": keras.Sequential([penalty_layer(), keras.layers.Dense(2)]),
            "c": keras.layers.Dense(2, activity_regularizer=l2),
        }
        return assembled(kind, trunk, heads, keras.Input((6,)))

    return make


def masked_steps(kind):
    def make():
        trunk = keras.Sequential(
            [keras.layers.Embedding(9, 4, mask_zero=True), dense(4)]
        )
        # They skip masked steps, if they are told.
        heads = {task: keras.layers.SimpleRNN(2) for task in TASKS}
        inputs = keras.Input((5,), dtype="int32")
        return assembled(kind, trunk, heads, inputs)

    return make


def by_plain_trunk():
    model = keras_mtl.MultiTaskModel(
        trunk=dense(5), heads={task: keras.layers.Dense(2) for task in TASKS}
    )
    model(np.zeros((1, 6), dtype="float32"))
    return model


NETWORKS = {
    "pyramid_list": pyramid("list"),
    "pyramid_dict": pyramid("dict"),
    "two_cut_tensors": two_cut_tensors,
    "heads_that_read_inputs": heads_that_read_inputs,
    "an_output_without_loss": an_output_without_loss,
    "an_output_of_the_trunk": an_output_of_the_trunk,
    "reused_and_nested_heads": reused_and_nested_heads,
    "state_trunk": state("trunk"),
    "state_graph": state("graph"),
    "penalties_trunk": penalties("trunk"),
    "penalties_graph": penalties("graph"),
    "masked_trunk": masked_steps("trunk"),
    "masked_graph": masked_steps("graph"),
}
