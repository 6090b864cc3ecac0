"""What Keras's training offers, under multi-task strategies."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from training import toy

# ------------------------------------------------------------- randomness


@pytest.mark.parametrize("dropout_seed", [None, 7])
@pytest.mark.parametrize("aggregator", ["sum", "pcgrad"])
def test_all_passes_see_the_same_dropout_mask(aggregator, dropout_seed):
    def update(strategy):
        model = toy.make_model(dropout=0.5, dropout_seed=dropout_seed)
        toy.compiled(model, strategy)
        keras.utils.set_random_seed(1)
        toy.step(model)
        return toy.weights(model)

    # Another mask in the perturbed pass would differ by about 0.1.
    plain = update(aggregator)
    for rho in (0.0, 1e-5):
        flat = update(keras_mtl.strategies.FSMTL(aggregator, rho=rho))
        toy.assert_near(flat, plain, atol=1e-4)


@pytest.mark.parametrize("dropout_seed", [None, 7])
def test_masks_change_from_step_to_step(dropout_seed):
    model = toy.make_model(dropout=0.5, dropout_seed=dropout_seed)
    optimizer = keras.optimizers.SGD(0.0)
    toy.compiled(model, toy.fresh_strategy("fs_mtl"), optimizer)
    first, second = toy.step(model), toy.step(model)
    assert first["left_loss"] != second["left_loss"]


def random_heads(dropout_seed):
    """Dropout in every head, so that part of the model draws less."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(40, activation="tanh")(inputs)
    outputs = {}
    for task, units, end in (("left", 1, None), ("right", 3, "softmax")):
        dropped = keras.layers.Dropout(0.5, seed=dropout_seed)(features)
        outputs[task] = keras.layers.Dense(units, activation=end)(dropped)
    return keras_mtl.MultiTaskModel(inputs, outputs)


@pytest.mark.parametrize("dropout_seed", [None, 7])
def test_heads_see_their_dropout_masks_again(dropout_seed):
    weights = []
    for strategy in ("ew", toy.every_pass()):
        model = toy.compiled(random_heads(dropout_seed), strategy)
        keras.utils.set_random_seed(1)
        toy.step(model)
        toy.step(model)
        weights.append(toy.weights(model))
    toy.assert_near(*weights)


# --------------------------------------------------------------- penalties


class WeightPenalty(keras.layers.Layer):
    """Adds a loss of its own weight and lets its input through."""

    def build(self, input_shape):
        self.w = self.add_weight(shape=(7,), initializer="ones", name="w")

    def call(self, inputs):
        self.add_loss(ops.sum(ops.square(self.w)))
        return inputs


def penalised(cls, factor):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(
        8,
        activation="tanh",
        kernel_regularizer=keras.regularizers.L2(0.1 * factor),
        activity_regularizer=keras.regularizers.L2(0.1 * factor),
    )(inputs)
    if factor:
        features = WeightPenalty()(features)
    left = keras.layers.Dense(
        1, kernel_regularizer=keras.regularizers.L1(0.1 * factor)
    )(features)
    right = keras.layers.Dense(3, activation="softmax")(features)
    return cls(inputs, {"left": left, "right": right})


def effect_of_penalties(cls, strategy):
    results = []
    for factor in (0, 1):
        model = toy.compiled(penalised(cls, factor), strategy and strategy())
        logs = toy.step(model)
        values = toy.weights(model)
        if factor:
            # The weight that has only a penalty: w - 0.1 * 2 w.
            (own,) = [v for v in values if v.shape == (7,)]
            np.testing.assert_allclose(own, 0.8, atol=1e-6)
            values = [v for v in values if v is not own]
        results.append((values, logs["loss"]))
    (without, _), (with_penalties, loss) = results
    return [b - a for a, b in zip(without, with_penalties, strict=True)], loss


PENALISED = {
    **{
        name: lambda name=name: toy.fresh_strategy(name)
        for name in toy.STRATEGIES
    },
    "pcgrad": lambda: keras_mtl.strategies.get("pcgrad"),
    "global_sam": lambda: keras_mtl.Strategy(
        flatness=keras_mtl.flatness.GlobalSAM(rho=0.0)
    ),
    "global_sam_pcgrad": lambda: keras_mtl.Strategy(
        flatness=keras_mtl.flatness.GlobalSAM(rho=0.0), aggregator="pcgrad"
    ),
}


@pytest.mark.parametrize("strategy", PENALISED)
def test_penalties_are_added_after_aggregation(strategy):
    expected, expected_loss = effect_of_penalties(keras.Model, None)
    effect, loss = effect_of_penalties(
        keras_mtl.MultiTaskModel, PENALISED[strategy]
    )
    assert max(np.abs(e).max() for e in expected) > 1e-3
    toy.assert_near(effect, expected, atol=2e-6)
    assert loss == pytest.approx(expected_loss, rel=1e-5)


# ------------------------------------------------------- structures of nets


@pytest.mark.parametrize("strategy", toy.STRATEGIES)
@pytest.mark.parametrize("frozen", ["trunk", "left"])
def test_frozen_layers_stay(frozen, strategy):
    model = toy.make_model(batch_norm=True)
    model.get_layer(frozen).trainable = False
    toy.compiled(model, toy.fresh_strategy(strategy))
    paths = [variable.path for variable in model.weights]
    before = dict(zip(paths, toy.weights(model), strict=True))
    toy.step(model)
    for path, value in zip(paths, toy.weights(model), strict=True):
        moved = not np.array_equal(before[path], value)
        assert moved == (not path.startswith(f"{frozen}/"))


def twice_and_nested(cls):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    twice = keras.layers.Dense(6, activation="tanh", name="twice")
    features = twice(twice(inputs))
    inner = keras.Input((6,))
    hidden = keras.layers.Dropout(0.3, seed=2)(inner)
    nested = keras.Model(inner, keras.layers.Dense(4, name="deep")(hidden))
    tail = keras.layers.Dense(1, name="left")
    left = tail(nested(features))
    right = keras.layers.Dense(3, activation="softmax")(nested(inputs))
    return cls(inputs, {"left": left, "right": right})


def test_layers_called_twice_and_nested_models():
    theirs = toy.compiled(twice_and_nested(keras.Model))
    ours = toy.compiled(
        twice_and_nested(keras_mtl.MultiTaskModel), toy.every_pass()
    )
    paths = [v.path for v in ours.shared_variables]
    assert paths == ["deep/kernel", "deep/bias"]
    own = [v.path for v in ours.task_variables["left"]]
    assert own == ["twice/kernel", "twice/bias", "left/kernel", "left/bias"]
    for _ in range(2):
        toy.step(theirs)
        toy.step(ours)
    toy.assert_near(toy.weights(ours), toy.weights(theirs))


def masked(cls, kind):
    keras.utils.set_random_seed(3)
    if kind == "embedding":
        inputs = keras.Input((5,), dtype="int32")
        sequence = keras.layers.Embedding(9, 4, mask_zero=True)(inputs)
        pooled = keras.layers.GlobalAveragePooling1D()(sequence)
    else:
        inputs = keras.Input((5, 2))
        sequence = keras.layers.Masking()(inputs)
        pooled = keras.layers.LSTM(3)(sequence)
    # The loss of an output by time step is masked too.
    token = keras.layers.Dense(1, name="token")(sequence)
    return cls(inputs, {"token": token, "label": keras.layers.Dense(1)(pooled)})


@pytest.mark.parametrize("kind", ["embedding", "lstm"])
def test_masks_reach_layers_and_losses(kind):
    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, size=(6, 5))
    x[:, 3:] = 0
    x[0, 1:] = 0
    if kind == "lstm":
        x = np.stack([x, x], axis=-1).astype("float32")
    y = {
        "token": rng.normal(size=(6, 5, 1)).astype("float32"),
        "label": rng.normal(size=(6, 1)).astype("float32"),
    }
    theirs = toy.compiled(masked(keras.Model, kind), loss="mse")
    ours = toy.compiled(
        masked(keras_mtl.MultiTaskModel, kind), toy.every_pass(), loss="mse"
    )
    assert toy.step(ours, x, y) == pytest.approx(
        toy.step(theirs, x, y), abs=1e-6
    )
    toy.assert_near(toy.weights(ours), toy.weights(theirs))


# ----------------------------------------------------------------- weights


@pytest.mark.parametrize("kind", ["dict", "array", "partial"])
def test_sample_weights_and_loss_weights(kind):
    rng = np.random.default_rng(1)
    sample_weight = rng.uniform(0.1, 3.0, size=8).astype("float32")
    if kind == "dict":
        sample_weight = {
            "left": sample_weight,
            "right": sample_weight[::-1].copy(),
        }
    settings = {
        "loss_weights": {"left": 0.2, "right": 3.0},
        "weighted_metrics": {"left": ["mae"], "right": ["accuracy"]},
    }
    theirs = toy.compiled(toy.make_model(keras.Model), **settings)
    ours = toy.compiled(toy.make_model(), toy.every_pass(), **settings)
    ours_weight = sample_weight
    if kind == "partial":
        # For Keras, there must be weights for every output.
        ours_weight = {"left": sample_weight}
        sample_weight = {
            "left": sample_weight,
            "right": np.ones(8, dtype="float32"),
        }
    expected = toy.step(theirs, sample_weight=sample_weight)
    logs = toy.step(ours, sample_weight=ours_weight)
    assert list(logs) == list(expected)
    assert logs == pytest.approx(expected, abs=1e-6)
    toy.assert_near(toy.weights(ours), toy.weights(theirs))


# --------------------------------------------------------- mixed precision


@pytest.mark.parametrize(
    "name, policy",
    [
        ("fs_mtl", "mixed_bfloat16"),
        ("fs_mtl", "mixed_float16"),
        ("db_mtl", "mixed_float16"),
    ],
)
def test_mixed_precision_is_near_full_precision(name, policy):
    full = toy.compiled(toy.make_model(), toy.fresh_strategy(name))
    before = toy.weights(full)
    keras.config.set_dtype_policy(policy)
    mixed = toy.compiled(
        toy.make_model(),
        toy.fresh_strategy(name),
        # A scale with which nothing overflows.
        keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(0.1), initial_scale=64.0
        )
        if policy == "mixed_float16"
        else None,
    )
    toy.step(full)
    toy.step(mixed)
    assert toy.distance(before, toy.weights(full)) > 0.03
    toy.assert_near(toy.weights(mixed), toy.weights(full), atol=0.01)
    for variable in mixed.strategy.variables:
        assert variable.dtype == "float32" or "int" in variable.dtype


@pytest.mark.parametrize("name", toy.STRATEGIES)
def test_an_overflow_is_skipped_and_halves_the_scale(name):
    keras.config.set_dtype_policy("mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1, momentum=0.9), initial_scale=2.0**40
    )
    model = toy.make_model(batch_norm=True)
    toy.compiled(model, toy.fresh_strategy(name), optimizer)
    weights = toy.weights(model)
    toy.step(model)  # Raises nothing: overflow is no failure here.
    strategy = toy.arrays(model.strategy.variables)
    assert float(ops.convert_to_numpy(optimizer.dynamic_scale)) == 2.0**39
    toy.assert_same(toy.weights(model), weights)
    assert int(ops.convert_to_numpy(model.strategy.iterations)) == 0
    fresh = toy.fresh_strategy(name)
    reference = toy.compiled(toy.make_model(batch_norm=True), fresh)
    toy.assert_same(strategy, toy.arrays(reference.strategy.variables))
    optimizer.dynamic_scale.assign(8.0)
    toy.step(model)
    assert toy.distance(weights, toy.weights(model)) > 0.01
    assert int(ops.convert_to_numpy(model.strategy.iterations)) == 1


# -------------------------------------------------------------- optimizers


def decaying():
    return keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)


OPTIMIZERS = {
    "accumulation": lambda: keras.optimizers.SGD(
        0.1, momentum=0.9, gradient_accumulation_steps=2
    ),
    "ema": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5),
    "clipping_and_decay": lambda: keras.optimizers.AdamW(
        0.01, weight_decay=0.1, clipnorm=0.05
    ),
    "schedule": lambda: keras.optimizers.SGD(decaying()),
    "fixed_scale": lambda: keras.optimizers.SGD(0.1, loss_scale_factor=16.0),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_act_on_the_update_as_in_keras(name):
    results = []
    for cls, strategy in (
        (keras.Model, None),
        (keras_mtl.MultiTaskModel, toy.every_pass()),
    ):
        model = toy.make_model(cls)
        toy.compiled(model, strategy, OPTIMIZERS[name]())
        toy.fit(model)
        results.append((toy.weights(model), model.optimizer))
    (expected, theirs), (weights, ours) = results
    toy.assert_near(weights, expected, atol=2e-6)
    assert len(ours.variables) == len(theirs.variables)
    toy.assert_near(
        toy.arrays(ours.variables), toy.arrays(theirs.variables), atol=2e-6
    )


def test_one_optimizer_for_the_trunk_and_one_for_the_heads():
    def run(cls, strategy):
        model = toy.make_model(cls)
        trunk = model.get_layer("trunk")
        optimizers = keras.optimizers.OptimizerMap(
            keras.optimizers.SGD(0.1, momentum=0.9)
        )
        optimizers["trunk/.*"] = keras.optimizers.SGD(0.0)
        optimizer = keras.optimizers.MultiOptimizer(optimizers)
        before = toy.arrays(trunk.variables)
        toy.compiled(model, strategy, optimizer)
        toy.fit(model)
        toy.assert_same(toy.arrays(trunk.variables), before)
        return toy.weights(model)

    expected = run(keras.Model, None)
    toy.assert_near(run(keras_mtl.MultiTaskModel, toy.every_pass()), expected)
    for name in ("db_mtl", "fs_mtl"):
        weights = run(keras_mtl.MultiTaskModel, toy.fresh_strategy(name))
        assert toy.distance(weights, expected) > 1e-3


# ----------------------------------------------------- sources and settings


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 8

    def __getitem__(self, index):
        part = slice(8 * index, 8 * index + 8)
        return self.x[part], {k: v[part] for k, v in self.y.items()}


def as_tf_data(x, y):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8)


def as_data_loader(x, y):
    import torch

    items = [(x[i], {k: v[i] for k, v in y.items()}) for i in range(len(x))]
    return torch.utils.data.DataLoader(items, batch_size=8)


SOURCES = {
    "tf_data": as_tf_data,
    "py_dataset": Batches,
    "data_loader": as_data_loader,
}


@pytest.fixture(scope="module")
def reference():
    """Weights and history of a plain run of FS-MTL."""
    model = toy.make_model()
    toy.compiled(model, toy.fresh_strategy("fs_mtl"))
    history = toy.fit(model)
    return toy.weights(model), history


def check_against(reference, model, history, atol=1e-6):
    weights, expected = reference
    toy.assert_near(toy.weights(model), weights, atol=atol)
    assert list(history) == list(expected)
    for name, values in expected.items():
        assert history[name] == pytest.approx(values, rel=1e-5), name


@pytest.mark.parametrize("source", SOURCES)
def test_data_sources(source, reference):
    model = toy.make_model()
    toy.compiled(model, toy.fresh_strategy("fs_mtl"))
    dataset = SOURCES[source](*toy.data())
    history = toy.fit(model, dataset, None, batch_size=None)
    check_against(reference, model, history)


def test_validation_data():
    x, y = toy.data()
    model = toy.compiled(toy.make_model(), toy.fresh_strategy("fs_mtl"))
    validation = toy.data(seed=9)
    history = toy.fit(model, x, y, validation_data=validation)
    results = model.evaluate(
        *validation, batch_size=8, verbose=0, return_dict=True
    )
    for name, value in results.items():
        assert history[f"val_{name}"][-1] == pytest.approx(value, rel=1e-5)


def test_batch_by_batch(reference):
    model = toy.compiled(toy.make_model(), toy.fresh_strategy("fs_mtl"))
    x, y = toy.data()
    for _ in range(2):
        for start in range(0, len(x), 8):
            part = slice(start, start + 8)
            toy.step(model, x[part], {k: v[part] for k, v in y.items()})
    toy.assert_near(toy.weights(model), reference[0])


@pytest.mark.skipif(toy.BACKEND == "torch", reason="Keras has it not on torch")
def test_several_steps_per_execution(reference):
    model = toy.make_model()
    strategy = toy.fresh_strategy("fs_mtl")
    toy.compiled(model, strategy, steps_per_execution=3)
    check_against(reference, model, toy.fit(model))


@pytest.mark.skipif(toy.BACKEND == "torch", reason="torch is always eager")
@pytest.mark.parametrize(
    "settings",
    [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}],
    ids=str,
)
def test_compiled_and_eager_steps_are_equal(settings, reference):
    model = toy.make_model()
    toy.compiled(model, toy.fresh_strategy("fs_mtl"), **settings)
    check_against(reference, model, toy.fit(model), atol=1e-5)


@pytest.mark.skipif(toy.BACKEND != "torch", reason="about torch.compile")
def test_torch_compile_is_turned_off_with_a_warning(reference):
    model = toy.make_model()
    with pytest.warns(UserWarning, match="turned off"):
        toy.compiled(model, toy.fresh_strategy("fs_mtl"), jit_compile=True)
    assert model.jit_compile is False
    check_against(reference, model, toy.fit(model))


# ----------------------------------------------------------- ways to a model


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
    check_against(reference, model, history, atol=1e-5)


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
