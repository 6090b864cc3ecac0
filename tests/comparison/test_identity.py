"""What is one model, and what are the same data."""

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl.comparison.data import read_data
from keras_mtl.comparison.identity import data_identity
from keras_mtl.comparison.identity import model_identity


def build(units=4, rate=0.1, loss="mse", seed=None, activation="relu"):
    inputs = keras.Input((4,))
    features = keras.layers.Dense(units, activation)(inputs)
    features = keras.layers.Dropout(0.5, seed=seed)(features)
    outputs = {task: keras.layers.Dense(1)(features) for task in "ab"}
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    model.compile(keras.optimizers.SGD(rate), dict.fromkeys("ab", loss))
    return model


def test_names_and_seeds_make_no_other_model():
    first = model_identity(build())
    assert first["tasks"] == ["a", "b"]
    # 4 * 4 + 4, and twice 4 + 1.
    assert first["parameters"] == 30
    # Keras has counted on: its names are others.
    keras.layers.Dense(1), keras.optimizers.SGD()
    assert model_identity(build(seed=7)) == first


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"units": 5}, {"parameters", "shapes", "model"}),
        ({"rate": 0.2}, {"model"}),
        ({"loss": "mae"}, {"model"}),
        ({"activation": "tanh"}, {"model"}),
    ],
)
def test_another_model_is_told(changes, names):
    first, other = model_identity(build()), model_identity(build(**changes))
    assert {name for name in first if first[name] != other[name]} == names


class Unknown(keras_mtl.MultiTaskModel):
    def __init__(self, units):
        super().__init__()
        self.features = keras.layers.Dense(units)
        self.head = keras.layers.Dense(1)

    def call(self, inputs):
        return {"a": self.head(self.features(inputs))}

    def get_config(self):
        raise NotImplementedError


def test_weights_tell_where_there_is_no_config():
    found = []
    for units in (2, 2, 3):
        model = Unknown(units)
        model.compile("sgd", {"a": "mse"})
        assert model_identity(model)["parameters"] is None
        model(np.ones((1, 4), "float32"))
        found.append(model_identity(model))
    assert found[0] == found[1]
    assert found[0]["shapes"] != found[2]["shapes"]
    assert (found[0]["parameters"], found[2]["parameters"]) == (13, 19)


def examples(**changes):
    x = np.arange(12.0).reshape(6, 2)
    parts = {"x": {"in": x}, "y": {"a": x[:, 0]}, "x_test": x, "y_test": x}
    parts.update(changes)
    train, test = (parts["x"], parts["y"]), (parts["x_test"], parts["y_test"])
    return data_identity(read_data("load", (train, test)))


def test_data_are_what_they_hold():
    first = examples()
    assert (first["num_train"], first["num_test"]) == (6, 6)
    assert examples() == first
    labels = np.arange(0.0, 12.0, 2.0)
    # Equal numbers in another place of the memory, and as a tensor.
    assert examples(y={"a": labels}) == first
    tensor = keras.ops.convert_to_tensor(labels.astype("float32"))
    assert examples(y={"a": tensor}) == examples(
        y={"a": labels.astype("float32")}
    )
    labels[3] += 1.0
    assert examples(y={"a": labels})["data"] != first["data"]
    five = np.ones((5, 2))
    assert examples(x_test=five, y_test=five)["num_test"] == 5
