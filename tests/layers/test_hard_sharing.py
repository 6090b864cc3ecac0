"""A shared trunk with heads, and features handed to heads by name."""

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl.layers import HardSharing
from tests.backend_tools import numpy
from tests.layers.battery import check_layer

dense = keras.layers.Dense


def inputs():
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 3)).astype("float32")


def functional_trunk(output="tensor"):
    x = keras.Input((3,), name="x")
    first = dense(4, name="first")(x)
    second = dense(5, name="second")(first)
    output = {"shallow": first, "deep": second} if output == "dict" else second
    return keras.Model(x, output)


@keras.saving.register_keras_serializable("tests")
class DictTrunk(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = dense(4, name="first")
        self.second = dense(5, name="second")

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build((None, 4))

    def call(self, inputs):
        first = self.first(inputs)
        return {"shallow": first, "deep": self.second(first)}


class Joined(keras.layers.Layer):
    """A head for a list of features."""

    def call(self, inputs):
        return keras.ops.concatenate(inputs, axis=-1)


def test_heads_take_the_output_of_the_trunk():
    x = inputs()
    trunk, first, second = dense(4), dense(1), dense(2)
    outputs = HardSharing(trunk, {"a": first, "b": second})(x)
    features = trunk(x)
    np.testing.assert_array_equal(numpy(outputs["a"]), numpy(first(features)))
    np.testing.assert_array_equal(numpy(outputs["b"]), numpy(second(features)))


@pytest.mark.parametrize(
    ("make_trunk", "names"),
    [
        (functional_trunk, ("first", "second")),
        (lambda: functional_trunk("dict"), ("first", "second")),
        (lambda: functional_trunk("dict"), ("shallow", "deep")),
        (DictTrunk, ("shallow", "deep")),
    ],
)
def test_heads_take_features_by_name(make_trunk, names):
    x = inputs()
    trunk = make_trunk()
    layer = HardSharing(
        trunk,
        {"a": keras.layers.Identity(), "b": Joined()},
        {"a": names[0], "b": [names[1], names[0]]},
    )
    outputs = layer(x)
    get = trunk.get_layer if isinstance(trunk, keras.Model) else None
    first = get("first") if get else trunk.first
    second = get("second") if get else trunk.second
    shallow = numpy(first(x))
    deep = numpy(second(first(x)))
    both = np.concatenate([deep, shallow], axis=-1)
    np.testing.assert_allclose(numpy(outputs["a"]), shallow, rtol=1e-6)
    np.testing.assert_allclose(numpy(outputs["b"]), both, rtol=1e-6)


def test_a_head_without_an_entry_takes_the_output():
    x = inputs()
    trunk = functional_trunk()
    identity = keras.layers.Identity
    layer = HardSharing(
        trunk, {"a": identity(), "b": identity()}, {"a": "first"}
    )
    assert layer(x)["a"].shape == (4, 4)
    np.testing.assert_array_equal(numpy(layer(x)["b"]), numpy(trunk(x)))


def test_a_model_shares_what_all_heads_see():
    x = keras.Input((3,))
    trunk = functional_trunk()
    layer = HardSharing(trunk, {"b": dense(1), "a": dense(2)}, {"a": "first"})
    outputs = layer(x)
    assert list(outputs) == ["b", "a"]
    model = keras_mtl.MultiTaskModel(x, outputs)
    first, second = trunk.get_layer("first"), trunk.get_layer("second")

    def ids(*layers):
        return {id(v) for layer in layers for v in layer.variables}

    assert {id(v) for v in model.shared_variables} == ids(first)
    own = {
        task: {id(v) for v in variables}
        for task, variables in model.task_variables.items()
    }
    # The head of a looks at the first layer alone.
    assert own == {
        "a": ids(layer.heads["a"]),
        "b": ids(layer.heads["b"], second),
    }


def test_weights_are_counted_once():
    layer = HardSharing(
        functional_trunk(), {"a": dense(1), "b": dense(1)}, {"a": "first"}
    )
    layer(inputs())
    sizes = [3 * 4, 4, 4 * 5, 5, 4 * 1, 1, 5 * 1, 1]
    assert layer.count_params() == sum(sizes)
    assert len(layer.weights) == len(sizes)


def test_masks_reach_the_heads():
    layer = HardSharing(
        keras.layers.Embedding(5, 3, mask_zero=True),
        {"mean": keras.layers.GlobalAveragePooling1D()},
    )
    tokens = np.array([[1, 2, 0, 0]])
    embedded = numpy(layer.trunk(tokens))
    np.testing.assert_allclose(
        numpy(layer(tokens)["mean"]), embedded[:, :2].mean(1), rtol=1e-6
    )


def test_masks_of_the_inputs_reach_the_trunk():
    embed = keras.layers.Embedding(5, 3, mask_zero=True)
    layer = HardSharing(
        keras.layers.GlobalAveragePooling1D(),
        {"a": keras.layers.Identity()},
    )
    tokens = np.array([[1, 2, 0, 0]])
    embedded = embed(tokens)
    np.testing.assert_allclose(
        numpy(layer(embedded)["a"]), numpy(embedded)[:, :2].mean(1), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("make_trunk", "features"),
    [
        (lambda: dense(4, name="trunk"), None),
        (functional_trunk, {"a": "first"}),
        (DictTrunk, {"a": "shallow", "b": "deep"}),
    ],
)
def test_does_what_every_layer_does(make_trunk, features):
    check_layer(
        lambda: HardSharing(
            make_trunk(),
            {"a": dense(2, name="head_a"), "b": dense(3, name="head_b")},
            features,
        ),
        inputs(),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trunk": "dense"}, "`trunk` must be a layer and `heads` a dict"),
        ({"heads": [dense(1)]}, "`trunk` must be a layer and `heads` a dict"),
        ({"heads": {"a": len}}, "`trunk` must be a layer and `heads` a dict"),
        ({"heads": {}}, "`tasks` must hold one or more names"),
        (
            {"features": {"c": "first"}},
            "'c', which has no head. Heads: a",
        ),
        (
            {"features": {"a": "last"}},
            "called 'last'. It has: x, first",
        ),
    ],
)
def test_refuses_arguments(arguments, message):
    arguments = {
        "trunk": functional_trunk(),
        "heads": {"a": dense(1)},
        **arguments,
    }
    with pytest.raises(ValueError, match=message):
        HardSharing(**arguments)


def test_refuses_names_of_features_that_the_trunk_does_not_return():
    layer = HardSharing(dense(3), {"a": dense(1)}, {"a": "deep"})
    with pytest.raises(ValueError, match="It has: one output without a name"):
        layer(inputs())
