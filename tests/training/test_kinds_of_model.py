"""Functional, wrapped, subclassed and unbuilt models."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from training import toy


class Subclassed(keras_mtl.MultiTaskModel):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.trunk = keras.layers.Dense(8, activation="tanh", name="trunk")
        self.left = keras.layers.Dense(1, name="left")
        self.right = keras.layers.Dense(3, activation="softmax", name="right")

    def call(self, inputs):
        features = self.trunk(inputs)
        return {"left": self.left(features), "right": self.right(features)}


def as_list():
    return toy.make_model(as_list=True)


def from_model():
    return keras_mtl.MultiTaskModel.from_model(toy.make_model(keras.Model))


def trunk_and_heads():
    return keras_mtl.MultiTaskModel(
        trunk=keras.layers.Dense(8, activation="tanh", name="trunk"),
        heads={
            "left": keras.layers.Dense(1, name="left"),
            "right": keras.layers.Dense(3, activation="softmax", name="right"),
        },
    )


def named_layers():
    return Subclassed(
        shared_layers=["trunk"],
        task_layers={"left": ["left"], "right": ["right"]},
    )


MODELS = {
    "list": as_list,
    "from_model": from_model,
    "trunk_and_heads": trunk_and_heads,
    "subclassed": Subclassed,
    "named_layers": named_layers,
    "named_trunk": lambda: Subclassed(shared_layers=["trunk"]),
    "named_heads": lambda: Subclassed(task_layers={"left": ["left"]}),
}


@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_of_model_trains_alike(kind, reference):
    model = MODELS[kind]()
    x, y = toy.data()
    if not model.built:
        model(x[:1])
        values = toy.weights(toy.make_model())
        for variable, value in zip(model.weights, values, strict=True):
            variable.assign(value)
    strategy = toy.fresh_strategy("fs_mtl")
    loss = toy.losses()
    if kind == "list":
        loss, y = list(loss.values()), list(y.values())
    toy.compiled(model, strategy, loss=loss)
    history = toy.fit(model, x, y)
    assert model.tasks == ["left", "right"]
    assert [v.path.split("/")[-2] for v in model.shared_variables] == [
        "trunk",
        "trunk",
    ]
    for task in model.tasks:
        own = [v.path.split("/")[-2] for v in model.task_variables[task]]
        assert own == [task, task]
    toy.assert_near_run(reference, model, history, atol=1e-5)


@pytest.mark.parametrize("kind", ["trunk_and_heads", "subclassed"])
@pytest.mark.parametrize("name", toy.STRATEGIES)
def test_unbuilt_models_train(name, kind):
    model = toy.compiled(MODELS[kind](), toy.fresh_strategy(name))
    assert not model.built
    history = toy.fit(model, epochs=3)
    assert history["loss"][-1] < history["loss"][0]
    assert len(model.shared_variables) == 2
    assert [len(v) for v in model.task_variables.values()] == [2, 2]


def test_a_wrapped_model_shares_its_weights():
    original = toy.make_model(keras.Model)
    model = keras_mtl.MultiTaskModel.from_model(original)
    before = toy.weights(original)
    toy.step(toy.compiled(model, toy.fresh_strategy("db_mtl")))
    assert [id(v) for v in model.weights] == [id(v) for v in original.weights]
    assert toy.distance(before, toy.weights(original)) > 0.01
    again = keras_mtl.MultiTaskModel.from_model(model)
    assert again.network is model.network
    # keras.Model would have made it a Functional class for good.
    names = [cls.__name__ for cls in keras_mtl.MultiTaskModel.__mro__]
    assert "Functional" not in names


def with_auxiliary_output(cls, seed=3):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(8, activation="tanh", name="trunk")(inputs)
    return cls(
        inputs,
        {
            "left": keras.layers.Dense(1, name="left")(features),
            "extra": keras.layers.Dense(2, name="extra")(features),
            "right": keras.layers.Dense(3, "softmax", name="right")(features),
        },
    )


@pytest.mark.parametrize("name", toy.STRATEGIES)
def test_an_output_without_loss_is_no_task(name):
    model = with_auxiliary_output(keras_mtl.MultiTaskModel)
    loss = {**toy.losses(), "extra": None}
    toy.compiled(model, toy.fresh_strategy(name), loss=loss)
    assert model.tasks == ["left", "right"]
    extra = model.get_layer("extra")
    before = toy.arrays(extra.variables)
    logs = toy.step(model)
    assert sorted(logs) == ["left_loss", "loss", "right_loss"]
    toy.assert_same(toy.arrays(extra.variables), before)
    x, _ = toy.data()
    assert model.predict(x, verbose=0)["extra"].shape == (len(x), 2)
    assert sorted(model.task_variables) == ["left", "right"]


def three_tasks():
    """`pair` serves tasks a and b, `all` serves all three."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(5, activation="tanh", name="all")(inputs)
    pair = keras.layers.Dense(4, activation="tanh", name="pair")(features)
    return keras_mtl.MultiTaskModel(
        inputs,
        {
            "a": keras.layers.Dense(1, name="a")(pair),
            "b": keras.layers.Dense(1, name="b")(pair),
            "c": keras.layers.Dense(1, name="c")(features),
        },
    )


class ThreeTasks(keras_mtl.MultiTaskModel):
    def __init__(self):
        super().__init__()
        self.all = keras.layers.Dense(5, activation="tanh", name="all")
        self.pair = keras.layers.Dense(4, activation="tanh", name="pair")
        self.heads = [keras.layers.Dense(1, name=name) for name in "abc"]
        self.idle = keras.layers.Dense(1, name="idle")

    def call(self, inputs, training=False):
        features = self.all(inputs)
        pair = self.pair(features)
        self.idle(features)
        a, b, c = self.heads
        return {"a": a(pair), "b": b(pair), "c": c(features)}


@pytest.mark.parametrize("make", [three_tasks, ThreeTasks])
def test_variables_shared_by_two_of_three_tasks(make):
    x, _ = toy.first_batch()
    y = {name: x[:, i : i + 1] for i, name in enumerate("abc")}
    model = make()
    toy.compiled(model, "db_mtl", loss=dict.fromkeys("abc", "mse"))
    toy.step(model, x, y)
    shared = {v.path.split("/")[-2] for v in model.shared_variables}
    assert shared == {"all", "pair"}
    for task, variables in model.task_variables.items():
        assert {v.path.split("/")[-2] for v in variables} == {task}
    losses, gradients = model.task_gradients(x, y)
    assert tuple(losses.shape) == (3,)
    for variable, stack in zip(
        model.shared_variables, gradients.shared, strict=True
    ):
        assert tuple(stack.shape) == (3, *variable.shape)
        of_c = ops.convert_to_numpy(stack[2])
        assert np.any(of_c) == ("pair" not in variable.path)
    assert all(np.all(np.isfinite(w)) for w in toy.weights(model))


def test_layers_named_must_cover_the_model():
    model = Subclassed(shared_layers=["trunk"], task_layers={"left": ["left"]})
    toy.compiled(model, "db_mtl")
    with pytest.raises(ValueError, match="Left out: .*right"):
        toy.step(model)


@pytest.mark.parametrize(
    "named, message",
    [
        (
            {"shared_layers": ["left"]},
            "Several tasks \\(left, right\\) use '.*trunk/kernel'",
        ),
        ({"shared_layers": []}, "which `shared_layers` does not name"),
        (
            {"task_layers": {"left": ["left", "trunk"]}},
            "'.*trunk/kernel' as one of 'left', which 'right' uses",
        ),
        ({"task_layers": {"lefty": ["left"]}}, "'lefty', which is no task"),
    ],
)
def test_layers_named_must_be_used_as_named(named, message):
    model = toy.compiled(Subclassed(**named), "db_mtl")
    with pytest.raises(ValueError, match=message):
        toy.step(model)


def test_what_is_named_as_shared_is_shared():
    # The call sees the left task only use its head.
    model = toy.compiled(Subclassed(shared_layers=["trunk", "left"]), "db_mtl")
    toy.step(model)
    shared = {v.path.split("/")[-2] for v in model.shared_variables}
    assert shared == {"trunk", "left"}
