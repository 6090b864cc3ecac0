"""What users bring, in the forms that keras.Model takes."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = {"b": (X[:, :1] > 0).astype("float32"), "a": X[:, 1:2]}
LOSSES = {"b": "binary_crossentropy", "a": "mse"}


def graph(as_list=False):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,), name="x")
    features = keras.layers.Dense(3, name="trunk")(inputs)
    kind = keras.layers.Dense(1, "sigmoid", name="b")(features)
    size = keras.layers.Dense(1, name="a")(features)
    return inputs, [kind, size] if as_list else {"b": kind, "a": size}


def compiled(cls, strategy=None, **kwargs):
    model = cls(*graph())
    if cls is keras_mtl.MultiTaskModel:
        kwargs["strategy"] = strategy
    kwargs.setdefault("loss", LOSSES)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True, **kwargs)
    return model


def power(y_true, y_pred, power=1):
    return ops.mean(ops.abs(y_true - y_pred) ** power, axis=-1)


class Power:
    def __call__(self, y_true, y_pred):
        return power(y_true, y_pred, 3)


def in_every_form():
    return {
        "b": [
            "Accuracy",
            "acc",
            "BinaryCrossentropy",
            functools.partial(power, power=2),
            functools.partial(
                keras.losses.binary_crossentropy, label_smoothing=0.1
            ),
            Power(),
            lambda y_true, y_pred: 1.0,
            keras.metrics.MeanSquaredError,
            {"class_name": "AUC", "config": {"name": "area"}},
            keras.losses.Huber(),
            keras.metrics.Precision(name="hits"),
        ],
        "a": None,
    }


@pytest.mark.parametrize("strategy", [None, "ew"])
@pytest.mark.parametrize(
    "forms",
    [
        lambda: {"metrics": in_every_form()},
        lambda: {
            "loss": {
                "b": functools.partial(power, power=2),
                "a": lambda y_true, y_pred: power(y_true, y_pred),
            }
        },
        lambda: {"loss": {"b": Power(), "a": keras.losses.Huber}},
    ],
)
def test_forms_mean_what_they_mean_to_keras(strategy, forms):
    logs = [
        compiled(cls, strategy, **forms()).evaluate(
            X, Y, verbose=0, return_dict=True
        )
        for cls in (keras.Model, keras_mtl.MultiTaskModel)
    ]
    assert logs[1] == pytest.approx(logs[0], rel=1e-5)


def test_a_loss_as_metric_leaves_out_what_has_no_label():
    labels = {**Y, "a": Y["a"].copy()}
    labels["a"][3:] = np.nan
    model = compiled(
        keras_mtl.MultiTaskModel,
        "ew",
        metrics={"a": [keras.losses.MeanSquaredError()]},
    )
    logs = model.evaluate(X, labels, verbose=0, return_dict=True)
    errors = (model.predict(X, verbose=0)["a"] - labels["a"])[:3]
    expected = np.mean(np.square(errors))
    assert logs["a_mean_squared_error"] == pytest.approx(expected, rel=1e-5)


def test_weights_of_metrics_may_be_a_column():
    weights = np.linspace(0, 1, 8, dtype="float32")
    model = compiled(
        keras_mtl.MultiTaskModel, "ew", weighted_metrics={"a": ["mae"]}
    )
    logs = model.evaluate(
        X,
        Y,
        sample_weight={"a": weights[:, None], "b": weights},
        verbose=0,
        return_dict=True,
    )
    errors = np.abs(model.predict(X, verbose=0)["a"] - Y["a"])[:, 0]
    expected = np.average(errors, weights=weights)
    assert logs["a_mae"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "metrics, text",
    [("mae", "must be a list, or a dict"), ({"a": ["none"]}, "'?none")],
)
def test_what_is_no_metric_is_refused_before_anything(metrics, text):
    model = keras_mtl.MultiTaskModel(*graph())
    with pytest.raises(ValueError, match=text):
        model.compile("sgd", LOSSES, metrics=metrics)
    assert not model.compiled


@pytest.mark.parametrize("strategy", [None, "ew"])
def test_callbacks_know_what_is_better(strategy):
    metrics = {"b": ["accuracy", keras.metrics.AUC(name="auc")], "a": ["mae"]}
    model = compiled(keras_mtl.MultiTaskModel, strategy, metrics=metrics)
    model.evaluate(X, Y, verbose=0)
    better = {"accuracy": 2.0, "val_auc": 2.0, "mae": 0.0, "val_loss": 0.0}
    for monitor, value in better.items():
        callback = keras.callbacks.EarlyStopping(monitor)
        callback.set_model(model)
        callback.on_train_begin()
        callback.on_epoch_end(0, {monitor: 1.0})
        callback.on_epoch_end(1, {monitor: value})
        assert callback.best == value
    # Keras knows no direction of the user's own, and nor is one made up.
    callback = keras.callbacks.EarlyStopping("unknown")
    callback.set_model(model)
    callback.on_train_begin()
    with pytest.raises(ValueError, match="mode='max'"):
        callback.on_epoch_end(0, {"unknown": 1.0})


@pytest.mark.parametrize(
    "strategy, trainable",
    [(None, True), ("ew", False), (keras_mtl.flatness.GlobalSAM(), True)],
)
def test_loss_weights_that_a_callback_changes(strategy, trainable):
    weight = keras.Variable(1.0, trainable=trainable)
    model = keras_mtl.MultiTaskModel(*graph())
    model.compile(
        keras.optimizers.SGD(0.0),
        LOSSES,
        loss_weights={"a": weight, "b": weight},
        strategy=strategy,
    )
    change = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: weight.assign(3.0 * epoch)
    )
    logs = model.fit(
        X, Y, epochs=2, verbose=0, callbacks=[change], validation_data=(X, Y)
    ).history
    for prefix in ("", "val_"):
        total = logs[f"{prefix}a_loss"][1] + logs[f"{prefix}b_loss"][1]
        assert logs[f"{prefix}loss"] == pytest.approx([0, 3 * total], rel=1e-5)
    assert len(model.trainable_variables) == 6
    # A file has its present value.
    config = model.get_compile_config()
    assert config["loss_weights"] == {"a": 3.0, "b": 3.0}


@pytest.mark.parametrize("weight", [[1.0], "two"])
def test_loss_weights_are_numbers_or_scalar_variables(weight):
    if isinstance(weight, list):
        weight = keras.Variable(weight)
    model = keras_mtl.MultiTaskModel(*graph())
    with pytest.raises(ValueError, match=r"loss_weights\['a'\].*Variable"):
        model.compile("sgd", LOSSES, loss_weights={"a": weight, "b": 1.0})


def test_a_preference_is_no_variable():
    model = keras_mtl.MultiTaskModel(*graph())
    strategy = keras_mtl.Strategy(
        aggregator="upgrad", loss_weights="preference"
    )
    weights = {"a": keras.Variable(1.0), "b": 1.0}
    with pytest.raises(ValueError, match="loss_weights"):
        model.compile("sgd", LOSSES, loss_weights=weights, strategy=strategy)


class Adds(keras.layers.Layer):
    def call(self, x, y=None):
        return x if y is None else x + y

    def compute_output_shape(self, *shapes, **named):
        return (None, 4)


def test_an_input_that_is_none():
    first = keras.Input((4,), name="first")
    second = keras.Input((4,), name="second", optional=True)
    features = keras.layers.Dense(3)(Adds()(first, second))
    model = keras_mtl.MultiTaskModel(
        {"first": first, "second": second},
        {task: keras.layers.Dense(1)(features) for task in LOSSES},
    )
    model.compile("sgd", LOSSES, strategy="upgrad")
    losses, _ = model.task_gradients({"first": X, "second": None}, Y)
    doubled, _ = model.task_gradients({"first": X / 2, "second": X / 2}, Y)
    np.testing.assert_allclose(
        ops.convert_to_numpy(losses), ops.convert_to_numpy(doubled), rtol=1e-5
    )


def test_what_is_known_of_a_graph():
    inputs, outputs = graph()
    plain = keras.Model(inputs, outputs)
    model = keras_mtl.MultiTaskModel(inputs, outputs, name="mine")
    assert set(model.output) == set(plain.output)
    assert model.input is inputs
    assert model.output_shape == plain.output_shape
    assert model.operations == plain.operations
    shape = model.compute_output_shape((5, 4))
    assert shape == plain.compute_output_shape((5, 4))
    assert model.count_params() == plain.count_params()
    lines = []
    model.summary(print_fn=lambda text, **_: lines.append(text))
    assert "mine" in lines[0]
    features = keras.Model(
        model.input, [model.get_layer("trunk").output, model.output]
    )
    assert np.shape(features(X)[0]) == (8, 3)
    model.compile("sgd", LOSSES)
    assert model.loss == LOSSES


def test_two_outputs_of_one_layer_need_names():
    inputs = keras.Input((4,))
    head = keras.layers.Dense(1, name="head")
    pair = [head(keras.layers.Dense(2)(inputs)) for _ in range(2)]
    with pytest.raises(ValueError, match="'head'.*as a dict: `{'task_1'"):
        keras_mtl.MultiTaskModel(inputs, pair)
    model = keras_mtl.MultiTaskModel(inputs, dict(zip("ab", pair, strict=True)))
    model.compile("sgd", "mse", strategy="ew")
    assert len(model.shared_variables) == 2


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = keras.layers.Embedding(5, 3)
        self.heads = {task: keras.layers.Dense(1) for task in LOSSES}

    def call(self, x):
        features = ops.mean(self.embed(x), axis=1)
        return {task: head(features) for task, head in self.heads.items()}


def test_a_built_subclass_is_wrapped():
    tokens = np.arange(24, dtype="int32").reshape(8, 3) % 5
    net = Net()
    expected = net(tokens)["a"]
    model = keras_mtl.MultiTaskModel.from_model(net)
    assert model.count_params() == net.count_params()
    model.compile(keras.optimizers.SGD(0.0), LOSSES, strategy="upgrad")
    model.fit(tokens, Y, verbose=0)
    np.testing.assert_allclose(
        model.predict(tokens, verbose=0)["a"],
        ops.convert_to_numpy(expected),
        rtol=1e-5,
    )
    assert [v.path for v in model.shared_variables] == [net.weights[0].path]


@keras.saving.register_keras_serializable("keras_forms")
class KeepsLayers(keras_mtl.MultiTaskModel):
    def __init__(self):
        inputs, outputs = graph()
        super().__init__(inputs, outputs)
        self.first = self.get_layer("trunk")
        self.ends = [self.get_layer("a"), self.get_layer("b")]


@pytest.mark.parametrize("from_own", [False, True])
@pytest.mark.parametrize("other", [keras.Model, keras_mtl.MultiTaskModel])
def test_files_do_not_depend_on_attributes(other, from_own, tmp_path):
    source, target = KeepsLayers(), other(*graph())
    if not from_own:
        source, target = target, source
    for weight in source.weights:
        weight.assign(np.ones(weight.shape))
    source.save_weights(tmp_path / "some.weights.h5")
    target.load_weights(tmp_path / "some.weights.h5")
    for weight in target.get_weights():
        np.testing.assert_array_equal(weight, 1.0)


class Sub(keras_mtl.MultiTaskModel):
    def __init__(self):
        super().__init__()
        self.heads = {task: keras.layers.Dense(1) for task in LOSSES}

    def call(self, x):
        return {task: head(x) for task, head in self.heads.items()}


def test_lists_that_keras_takes_in_another_order():
    labels = (Y["b"], Y["a"])
    model = compiled(keras_mtl.MultiTaskModel)
    expected = model.evaluate(X, Y, verbose=0)
    with pytest.warns(UserWarning, match="sorted names: a, b"):
        assert model.evaluate(X, labels, verbose=0) == expected
    with pytest.warns(UserWarning, match="`loss` is a list"):
        model.compile("sgd", list(LOSSES.values()))
    # Outputs that are a list have an order of their own.
    model = keras_mtl.MultiTaskModel(*graph(as_list=True))
    model.compile("sgd", list(LOSSES.values()))
    assert model.evaluate(X, labels, verbose=0) == pytest.approx(expected)
    model = Sub()
    model.compile("sgd", LOSSES, run_eagerly=True)
    with pytest.raises(ValueError, match="order of the model's outputs"):
        model.fit(X, labels, verbose=0)


def test_labels_of_a_loss_that_needs_none():
    model = compiled(keras_mtl.MultiTaskModel, "ew")
    with pytest.raises(ValueError, match=r"'a': function}` with `def function"):
        model.fit(X, {"b": Y["b"]}, verbose=0)
