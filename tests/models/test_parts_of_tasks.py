"""Models of one task, and which variables serve which tasks."""

import keras
import numpy as np
import pytest
from keras import ops
from training import toy

import keras_mtl

TASKS = ("left", "right")


@keras.saving.register_keras_serializable("tests")
class Two(keras.layers.Layer):
    """A common part and one part for each of its two outputs."""

    def build(self, input_shape):
        size = input_shape[-1]
        self.common = self.add_weight(shape=(size,), name="common")
        self.first = self.add_weight(shape=(size,), name="first")
        self.second = self.add_weight(shape=(size,), name="second")

    def call(self, inputs):
        common = ops.tanh(inputs * self.common)
        return common * self.first, common * self.second


def names(variables):
    return ["/".join(v.path.split("/")[-2:]) for v in variables]


def two_outputs(trainable=True, third=False):
    """Each task reads one output of a layer."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(4, name="trunk")(inputs)
    two = Two(name="two", trainable=trainable)
    first, second = two(features)
    outputs = {
        "left": keras.layers.Dense(1, name="left")(first),
        "right": keras.layers.Dense(3, activation="softmax", name="right")(
            second
        ),
    }
    if third:
        outputs["third"] = keras.layers.Dense(1, name="third")(features)
    return keras_mtl.MultiTaskModel(inputs, outputs)


# ----------------------------------------------------------------- partition


def test_an_output_that_one_task_reads_is_its_own():
    model = two_outputs()
    assert names(model.shared_variables) == [
        "trunk/kernel",
        "trunk/bias",
        "two/common",
    ]
    assert {task: names(v) for task, v in model.task_variables.items()} == {
        "left": ["two/first", "left/kernel", "left/bias"],
        "right": ["two/second", "right/kernel", "right/bias"],
    }


def test_an_output_that_no_task_reads():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    first, _ = Two(name="two")(inputs)
    model = keras_mtl.MultiTaskModel(
        inputs,
        {
            "left": keras.layers.Dense(1, name="left")(first),
            "right": keras.layers.Dense(3, name="right")(inputs),
        },
    )
    assert model.shared_variables == []
    assert names(model.task_variables["left"]) == [
        "two/common",
        "two/first",
        "left/kernel",
        "left/bias",
    ]
    partition = model.partition()
    assert names(partition.variables[i] for i in partition.idle) == [
        "two/second"
    ]


def test_unfreezing_a_layer_with_several_outputs():
    model = two_outputs(trainable=False, third=True)
    loss = {**toy.losses(), "third": "mse"}
    x, y = toy.first_batch()
    y = {**y, "third": x[:, :1]}
    assert names(model.shared_variables) == ["trunk/kernel", "trunk/bias"]
    toy.compiled(model, "pcgrad", loss=loss)
    two = model.get_layer("two")
    frozen = toy.arrays(two.variables)
    toy.step(model, x, y)
    toy.assert_same(toy.arrays(two.variables), frozen)
    two.trainable = True
    toy.compiled(model, "pcgrad", loss=loss)
    assert names(model.shared_variables)[-1] == "two/common"
    assert names(model.task_variables["left"])[0] == "two/first"
    assert names(model.task_variables["third"]) == [
        "third/kernel",
        "third/bias",
    ]
    toy.step(model, x, y)
    for old, new in zip(frozen, toy.arrays(two.variables), strict=True):
        assert (old != new).any()
    two.trainable = False
    toy.compiled(model, "pcgrad", loss=loss)
    assert names(model.shared_variables) == ["trunk/kernel", "trunk/bias"]


def test_own_variables_of_a_mixed_layer_follow_their_task_alone():
    # PCGrad changes what tasks share; what is their own gets their gradient.
    x, y = toy.first_batch()
    model = toy.compiled(two_outputs(), "pcgrad", keras.optimizers.SGD(0.1))
    plain = toy.compiled(two_outputs(), "ew", keras.optimizers.SGD(0.1))
    for trained in (model, plain):
        toy.step(trained, x, y)
    for task in TASKS:
        toy.assert_near(
            toy.arrays(model.task_variables[task]),
            toy.arrays(plain.task_variables[task]),
        )


def test_a_mixture_of_experts_in_a_graph():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    gated = keras_mtl.layers.MMoE(TASKS, keras.layers.Dense(4), 2, name="mix")(
        inputs
    )
    model = keras_mtl.MultiTaskModel(
        inputs,
        {task: keras.layers.Dense(1, name=task)(gated[task]) for task in TASKS},
    )
    # Two experts of a kernel and a bias; gates belong to their tasks.
    assert len(model.shared_variables) == 4
    own = model.task_variables
    assert len(own["left"]) == len(own["right"]) > 2
    known = {id(v) for v in model.shared_variables}
    for task in TASKS:
        for variable in own[task]:
            assert id(variable) not in known
            assert task in variable.path


# ---------------------------------------------------------------- task_model


def trunk_and_heads():
    keras.utils.set_random_seed(3)
    model = keras_mtl.MultiTaskModel(
        trunk=keras.layers.Dense(4, activation="tanh", name="trunk"),
        heads={
            "left": keras.layers.Dense(1, name="left"),
            "right": keras.layers.Dense(3, name="right"),
        },
    )
    model(np.zeros((1, 6), dtype="float32"))
    return model


def wrapped():
    keras.utils.set_random_seed(3)
    return keras_mtl.MultiTaskModel.from_model(toy.make_model(keras.Model))


@pytest.mark.parametrize(
    "make", [toy.make_model, two_outputs, trunk_and_heads, wrapped]
)
def test_task_model(make):
    model = make()
    x, _ = toy.data()
    together = model.predict(x, verbose=0)
    for task, other in (TASKS, TASKS[::-1]):
        alone = model.task_model(task)
        assert isinstance(alone, keras.Model)
        assert model.task_model(task) is alone
        np.testing.assert_allclose(
            alone.predict(x, verbose=0), together[task], atol=1e-6
        )
        known = {id(v) for v in model.weights}
        assert {id(v) for v in alone.weights} <= known
        heads = [p for p in names(alone.weights) if p.startswith(other)]
        assert heads == []


def test_task_model_follows_the_training():
    model = toy.compiled(toy.make_model(), "pcgrad")
    x, y = toy.first_batch()
    alone = model.task_model("left")
    before = alone.predict(x, verbose=0)
    toy.step(model, x, y)
    after = alone.predict(x, verbose=0)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(
        after, model.predict(x, verbose=0)["left"], atol=1e-6
    )


def test_task_model_saves_alone(tmp_path):
    model = toy.make_model()
    x, _ = toy.data()
    model.task_model("right").save(tmp_path / "right.keras")
    # Plain Keras: nothing of this library is needed to load it.
    loaded = keras.models.load_model(tmp_path / "right.keras")
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0),
        model.predict(x, verbose=0)["right"],
        atol=1e-6,
    )


class Subclass(keras_mtl.MultiTaskModel):
    def __init__(self):
        super().__init__()
        self.left = keras.layers.Dense(1)
        self.right = keras.layers.Dense(1)

    def call(self, inputs, training=None):
        return {"left": self.left(inputs), "right": self.right(inputs)}


def test_task_model_errors():
    with pytest.raises(ValueError, match="Did you mean 'left'"):
        toy.make_model().task_model("lfet")
    with pytest.raises(ValueError, match="for `trunk=` and `heads=` only"):
        Subclass().task_model("left")
