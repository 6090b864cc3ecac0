"""Wrong input is refused with an error that helps, and changes nothing."""

import keras
import numpy as np
import pytest
from training import toy

import keras_mtl


@pytest.fixture(scope="module")
def model():
    """A model in training that all errors below are tried on."""
    model = toy.make_model()
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    toy.compiled(model, "db_mtl", optimizer)
    toy.fit(model, epochs=1)
    return model


def check_refused(model, action, match):
    """The action raises and leaves a model that goes on training."""
    strategy, optimizer = model.strategy, model.optimizer
    settings = model.tasks, dict(model.task_losses.losses)
    before = toy.snapshot(model)
    with pytest.raises(ValueError, match=match):
        action(model)
    assert model.strategy is strategy and model.optimizer is optimizer
    assert settings == (
        model.tasks,
        dict(model.task_losses.losses),
    )
    toy.assert_same(toy.snapshot(model), before)
    logs = toy.step(model)
    assert all(np.isfinite(value) for value in logs.values())
    assert toy.distance(before["weights"], toy.weights(model)) > 0
    assert model.strategy is strategy


def compile_with(**kwargs):
    def action(model):
        settings = {"loss": toy.losses(), "strategy": "ew", **kwargs}
        model.compile("sgd", **settings)

    return action


def fixed(count):
    return keras_mtl.balancers.Fixed([1.0] * count)


COMPILE = {
    "unknown_strategy": ({"strategy": "fs_mlt"}, "Did you mean 'fs_mtl'"),
    "strategy_of_wrong_type": ({"strategy": 3}, "Expected a strategy"),
    "number_of_tasks": ({"strategy": fixed(3)}, "3 entries for 2 tasks"),
    "no_loss": ({"loss": None}, "needs a loss per task"),
    "unknown_task": (
        {"loss": {**toy.losses(), "lfet": "mse"}},
        "Did you mean 'left'",
    ),
    "loss_left_out": ({"loss": {"left": "mse"}}, "no loss for 'right'"),
    "all_none": (
        {"loss": {"left": None, "right": None}},
        "Every loss is None",
    ),
    "unknown_loss": ({"loss": {**toy.losses(), "left": "mes"}}, "mes"),
    "loss_of_wrong_type": ({"loss": {**toy.losses(), "left": 3}}, "3"),
    "shape_dependent": (
        {"loss": {**toy.losses(), "right": "crossentropy"}},
        '"sparse_categorical_crossentropy" for class indices',
    ),
    "length_of_losses": ({"loss": ["mse"]}, "one entry per output"),
    "unknown_weight": (
        {"loss_weights": {"rihgt": 1.0}},
        "Did you mean 'right'",
    ),
    "weights_of_wrong_type": ({"loss_weights": 2.0}, "must be a dict"),
    "length_of_weights": ({"loss_weights": [1.0]}, "one entry per output"),
    "policy": ({"on_nonfinite": "explode"}, "'raise', 'skip', 'ignore'"),
    "optimizer": ({"optimizer": "sdg"}, "sdg"),
}


@pytest.mark.parametrize("name", COMPILE)
def test_compile(name, model):
    kwargs, match = COMPILE[name]

    def action(model):
        settings = {
            "optimizer": "sgd",
            "loss": toy.losses(),
            "strategy": "ew",
            **kwargs,
        }
        model.compile(**settings)

    check_refused(model, action, match)


def fit_with(x=None, y=None, **kwargs):
    def action(model):
        data_x, data_y = toy.data()
        given_y = data_y if y is None else y
        toy.fit(model, data_x if x is None else x, given_y, **kwargs)

    return action


Y = toy.data()[1]
ONES = np.ones(toy.NUM_SAMPLES, dtype="float32")
FIT = {
    "unknown_strategy": (fit_with(strategy="dbmlt"), "Unknown strategy"),
    "number_of_tasks": (fit_with(strategy=fixed(3)), "3 entries for 2 tasks"),
    "missing_label": (fit_with(y={"left": Y["left"]}), "no labels for task 'r"),
    "misspelt_label": (
        fit_with(y={"left": Y["left"], "rihgt": Y["right"]}),
        "no labels for task 'right'",
    ),
    "extra_label": (
        fit_with(y={**Y, "lfet": Y["left"]}),
        "Did you mean 'left'",
    ),
    "labels_by_length": (fit_with(y=[Y["left"]]), "one entry per output"),
    "one_array": (fit_with(y=Y["left"]), "must be a dict by task name"),
    "unknown_sample_weight": (
        fit_with(sample_weight={"lfet": ONES, "right": ONES}),
        "Did you mean 'left'",
    ),
}
SHAPES = {
    "shape_of_labels": (
        fit_with(y={**Y, "right": np.zeros((toy.NUM_SAMPLES, 2))}),
        "labels of task 'right' do not fit",
    ),
    "rank_of_labels": (
        fit_with(y={**Y, "left": np.zeros((toy.NUM_SAMPLES, 4, 1))}),
        "labels of task 'left' do not fit",
    ),
    "shape_of_inputs": (
        fit_with(x=np.zeros((toy.NUM_SAMPLES, 5), dtype="float32")),
        "shape",
    ),
}


@pytest.mark.parametrize("name", FIT)
def test_fit(name, model):
    check_refused(model, *FIT[name])


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name):
    # A fresh model: TensorFlow relaxes shapes that vary between calls.
    check_refused(toy.compiled(toy.make_model(), "db_mtl"), *SHAPES[name])


def test_errors_in_the_first_step_of_a_fresh_model():
    # On JAX, the trainer has then taken the values out of the model.
    for strategy in (None, toy.fs_mtl()):
        model = toy.compiled(toy.make_model(), strategy)
        before = toy.weights(model)
        y = {**Y, "right": np.zeros((toy.NUM_SAMPLES, 2))}
        with pytest.raises(ValueError, match="right|shape|dimension"):
            toy.fit(model, toy.data()[0], y)
        toy.assert_same(toy.weights(model), before)
        toy.fit(model, epochs=1)
        assert toy.distance(before, toy.weights(model)) > 1e-3


def test_errors_in_a_later_epoch(model):
    def interrupt(epoch, logs):
        raise ValueError("from a callback")

    callback = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
    check_refused(
        model,
        lambda model: toy.fit(model, callbacks=[callback]),
        "from a callback",
    )


def test_frozen_out(model):
    layers = [model.get_layer(name) for name in ("trunk", "left")]
    for layer in layers:
        layer.trainable = False
    match = "Task 'left' reaches no trainable variable"
    strategy, optimizer = model.strategy, model.optimizer
    for action in (
        compile_with(),
        fit_with(strategy="ew"),
        lambda model: toy.fit(model),
    ):
        before = toy.snapshot(model)
        with pytest.raises(ValueError, match=match):
            action(model)
        assert model.strategy is strategy and model.optimizer is optimizer
        toy.assert_same(toy.snapshot(model), before)
    for layer in layers:
        layer.trainable = True
    before = toy.weights(model)
    toy.fit(model, epochs=1)
    assert toy.distance(before, toy.weights(model)) > 0


def test_not_compiled():
    model = toy.make_model()
    x, y = toy.data()
    with pytest.raises(ValueError, match=r"compile\(\)"):
        model.fit(x, y, strategy="ew")
    with pytest.raises(ValueError, match=r"compile\(\)"):
        model.fit(x, y)
    with pytest.raises(ValueError, match="compile"):
        model.task_gradients(x, y)
    assert model.strategy is None
    toy.fit(toy.compiled(model, "ew"), epochs=1)


def test_strategy_without_losses():
    model = toy.make_model()
    model.compile("sgd")
    with pytest.raises(ValueError, match="needs a loss per task"):
        toy.fit(model, strategy="ew")
    assert model.strategy is None


def test_compiled_twice():
    model = toy.make_model()
    toy.compiled(model, toy.fs_mtl(), metrics={"right": ["accuracy"]})
    toy.fit(model, epochs=1)
    toy.compiled(model, "db_mtl", metrics={"right": ["accuracy"]})
    history = toy.fit(model, epochs=1)
    fresh = toy.compiled(
        toy.make_model(), "db_mtl", metrics={"right": ["accuracy"]}
    )
    assert list(toy.fit(fresh, epochs=1)) == list(history)
    assert len(model.metrics) == len(fresh.metrics)
    paths = [variable.path for variable in model.strategy.variables]
    assert len(paths) == len(fresh.strategy.variables)
    toy.compiled(model, None)
    assert model.strategy is None
    toy.fit(model, epochs=1)


@pytest.mark.parametrize(
    "value", [-0.1, float("nan"), float("inf"), True, "0.1", None, [0.1]]
)
@pytest.mark.parametrize(
    "make",
    [
        keras_mtl.flatness.TaskSAM,
        keras_mtl.flatness.GlobalSAM,
        keras_mtl.strategies.FSMTL,
    ],
)
def test_radii(make, value):
    with pytest.raises(ValueError, match="`rho`"):
        make(rho=value)
    if value is not None:
        with pytest.raises(ValueError, match="`head_rho`"):
            make(head_rho=value, norm="separate")


def test_radii_of_a_strategy_in_use():
    model = toy.compiled(toy.make_model(), toy.fresh_strategy("fs_mtl"))
    toy.step(model)
    flatness = model.strategy.flatness
    before = toy.snapshot(model)
    for value in (-1.0, float("nan"), True, "a"):
        with pytest.raises(ValueError, match="`rho`"):
            flatness.rho = value
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    with pytest.raises(ValueError, match="schedule"):
        flatness.rho = schedule
    with pytest.raises(ValueError, match="`head_rho`"):
        flatness.head_rho = 0.1
    assert flatness.rho == 0.05 and flatness.head_rho is None
    toy.assert_same(toy.snapshot(model), before)
    toy.step(model)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"norm": "both"}, "`norm`"),
        ({"norm": "joint", "head_rho": 0.1}, "`head_rho`"),
        ({"combine": "sum"}, "`combine`"),
        ({"interval": 0}, "`interval`"),
        ({"interval": 1.5}, "`interval`"),
        ({"variables": "some"}, "`variables`"),
    ],
)
def test_flatness_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        keras_mtl.flatness.TaskSAM(**arguments)


class Subclassed(keras_mtl.MultiTaskModel):
    def call(self, inputs):
        return {"left": inputs, "right": inputs}


def one_output():
    inputs = keras.Input((6,))
    return inputs, {"left": keras.layers.Dense(1)(inputs)}


def test_models():
    make = keras_mtl.MultiTaskModel
    dense = keras.layers.Dense(1)
    inputs, outputs = one_output()
    both = {**outputs, "right": keras.layers.Dense(1)(inputs)}
    for action, match in (
        (lambda: make(), "needs `inputs` and `outputs`"),
        (lambda: make(inputs), "must be given together"),
        (lambda: make(outputs=both), "must be given together"),
        (
            lambda: make(*one_output()).compile("sgd", "mse"),
            "two or more tasks",
        ),
        (lambda: make.from_model(dense), "must be a keras.Model"),
        (lambda: make.from_model(Subclassed()), "a MultiTaskModel already"),
        (lambda: make(trunk=dense), "`heads` a dict"),
        (lambda: make(trunk=dense, heads=[dense, dense]), "`heads` a dict"),
        (
            lambda: make(trunk=dense, heads={"left": dense}).compile(
                "sgd", "mse"
            ),
            "two or more tasks",
        ),
        (lambda: make(trunk=3, heads={"a": dense, "b": dense}), "`trunk`"),
        (
            lambda: make(trunk=dense, heads={"a": dense, "b": 3}),
            "`heads`",
        ),
        (
            lambda: make(
                inputs, both, trunk=dense, heads={"a": dense, "b": dense}
            ),
            "Give either",
        ),
        (
            lambda: make(inputs, both, shared_layers=["a"]),
            "for subclasses",
        ),
    ):
        with pytest.raises(ValueError, match=match):
            action()
    # None of which has spoilt the class.
    toy.step(toy.compiled(make(inputs, both), "ew", loss="mse"), *pair())


def pair():
    x, y = toy.first_batch()
    return x, {"left": y["left"], "right": y["left"]}
