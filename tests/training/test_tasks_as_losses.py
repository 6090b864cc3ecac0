"""Tasks that are losses of any outputs, inputs and derivatives.

The network is `u(x) = sum_h c_h (w_h x)^3`, of which all gradients are known,
those of its Laplacian `6 sum_h c_h |w_h|^2 w_h x` too.
"""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl.losses import Task
from training import toy

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 2)).astype("float32")
U = RNG.normal(size=(6, 1)).astype("float32")
W = RNG.normal(size=(2, 3)).astype("float32") / 2
C = RNG.normal(size=(3, 1)).astype("float32") / 2
TASKS = ("data", "residual", "size")


@keras.saving.register_keras_serializable("test_tasks_as_losses")
def residual(inputs, model):
    second = keras_mtl.derivative(model, inputs, order=2)
    return ops.square(ops.sum(second, axis=-1) - 1)


@keras.saving.register_keras_serializable("test_tasks_as_losses")
def size(y_pred):
    return ops.mean(ops.square(y_pred))


def losses(data=None):
    """Three tasks; by `data` each with samples of its own."""
    data = data or {}
    return {
        "data": Task("mse", data=data.get("data")),
        "residual": Task(residual, data=data.get("residual")),
        "size": Task(size, data=data.get("size")),
    }


def make_model():
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(3, use_bias=False)(inputs)
    u = keras.layers.Dense(1, use_bias=False)(hidden**3)
    model = keras_mtl.MultiTaskModel(inputs, {"u": u})
    model.set_weights([W, C])
    return model


def compiled(strategy, loss=None, rate=1.0, **kwargs):
    model = make_model()
    optimizer = keras.optimizers.SGD(rate)
    loss = losses() if loss is None else loss
    model.compile(optimizer, loss, strategy=strategy, **kwargs)
    return model


def known(task, w=W, c=C, x=X, u=U):
    """Loss and gradients by `w` and `c`."""
    w, c, x, u = (np.asarray(part, "float64") for part in (w, c, x, u))
    z, norms = x @ w, np.square(w).sum(0)
    if task == "residual":
        gap = 6 * (z * norms) @ c - 1
        by_c = 6 * (z * norms).T @ gap
        by_w = 6 * c.T * (2 * w * (z.T @ gap).T + norms * (x.T @ gap))
    else:
        gap = z**3 @ c - (u if task == "data" else 0)
        by_c = (z**3).T @ gap
        by_w = x.T @ (gap * 3 * z**2 * c.T)
    return np.mean(gap**2), [2 / len(x) * part for part in (by_w, by_c)]


def close(found, expected, tolerance=1e-5):
    for one, other in zip(found, expected, strict=True):
        one = np.asarray(ops.convert_to_numpy(one))
        assert np.abs(one - other).max() < tolerance * max(
            1, np.abs(other).max()
        )


def test_gradients_are_known():
    model = compiled("ew")
    found = model.task_gradients(X, U)
    by_task = [known(task) for task in TASKS]
    close(found.losses, [loss for loss, _ in by_task])
    stacks = [
        np.stack(parts) for parts in zip(*(g for _, g in by_task), strict=True)
    ]
    close(found.gradients.shared, stacks)


def merged(aggregator):
    rows = [known(task)[1] for task in TASKS]
    stacks = [
        np.stack(parts).astype("float32") for parts in zip(*rows, strict=True)
    ]
    aggregator = keras_mtl.aggregators.get(aggregator)
    return aggregator([ops.convert_to_tensor(stack) for stack in stacks])


def sharp(rho):
    """Sums of gradients, each where its own loss is worst nearby."""
    total = [0.0, 0.0]
    for task in TASKS:
        _, (by_w, by_c) = known(task)
        norm = np.sqrt((by_w**2).sum() + (by_c**2).sum())
        near = known(task, W + rho / norm * by_w, C + rho / norm * by_c)
        total = [a + b for a, b in zip(total, near[1], strict=True)]
    return total


STRATEGIES = {
    "sum": lambda: (keras_mtl.Strategy(aggregator="sum"), merged("sum")),
    "upgrad": lambda: ("upgrad", merged("upgrad")),
    "low_memory": lambda: (
        keras_mtl.Strategy(aggregator="mgda", memory="low"),
        merged("mgda"),
    ),
    "flatness": lambda: (
        keras_mtl.Strategy(
            flatness=keras_mtl.flatness.TaskSAM(rho=0.1), aggregator="sum"
        ),
        sharp(0.1),
    ),
}


@pytest.mark.every_case
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_compiled_step_is_known(name):
    strategy, expected = STRATEGIES[name]()
    model = compiled(strategy)
    logs = model.fit(X, U, batch_size=6, verbose=0).history
    for task in TASKS:
        assert logs[f"{task}_loss"] == pytest.approx([known(task)[0]], rel=1e-5)
    moved = [
        before - ops.convert_to_numpy(after)
        for before, after in zip((W, C), model.trainable_variables, strict=True)
    ]
    close(moved, [ops.convert_to_numpy(part) for part in expected], 3e-5)


# ------------------------------------------------ several outputs, no labels


def pairs(y_pred, sample_weight=None):
    """A value for each pair of rows of two outputs, as retrieval has it."""
    queries, candidates = y_pred["query"], y_pred["candidate"]
    scores = queries @ ops.transpose(candidates)
    return ops.logsumexp(scores, axis=-1) - ops.diagonal(scores)


def two_towers(cls=keras_mtl.MultiTaskModel, as_list=False, trunk=False):
    keras.utils.set_random_seed(4)
    if trunk:
        heads = ("query", "candidate", "rating")
        return cls(
            trunk=keras.layers.Dense(4),
            heads={name: keras.layers.Dense(1) for name in heads},
        )
    inputs = keras.Input((2,))
    x = keras.layers.Dense(4, activation="tanh")(inputs)
    outputs = {
        "query": keras.layers.Dense(3, name="query")(x),
        "candidate": keras.layers.Dense(3, name="candidate")(x),
        "rating": keras.layers.Dense(1, name="rating")(x),
    }
    return cls(inputs, list(outputs.values()) if as_list else outputs)


class Towers(keras_mtl.MultiTaskModel):
    def __init__(self):
        super().__init__()
        self.shared = keras.layers.Dense(4)
        self.last = {
            name: keras.layers.Dense(1)
            for name in ("query", "candidate", "rating")
        }
        self.query, self.candidate, self.rating = self.last.values()

    def call(self, inputs):
        x = self.shared(inputs)
        return {name: getattr(self, name)(x) for name in self.last}


MODELS = {
    "dict": two_towers,
    "list": lambda: two_towers(as_list=True),
    "trunk": lambda: two_towers(trunk=True),
    "subclass": lambda: (keras.utils.set_random_seed(4), Towers())[1],
}


@pytest.mark.parametrize("kind", MODELS)
def test_one_loss_of_two_outputs_beside_others(kind):
    model = MODELS[kind]()
    model.compile(
        keras.optimizers.SGD(0.1),
        {
            "retrieval": Task(pairs, outputs=["query", "candidate"]),
            "rating": "mse",
            "small": Task(size, outputs="rating", weight=0.5),
        },
        strategy=toy.every_pass(),
        metrics={"rating": ["mae"]},
    )
    assert model.tasks == ["retrieval", "rating", "small"]
    logs = model.fit(X, {"rating": U}, batch_size=6, verbose=0).history
    assert logs["loss"][0] == pytest.approx(
        logs["retrieval_loss"][0]
        + logs["rating_loss"][0]
        + logs["small_loss"][0] / 2,
        rel=1e-5,
    )
    # All layers were trained; towers by their task alone.
    found = model.evaluate(X, {"rating": U}, verbose=0, return_dict=True)
    outputs = model.predict(X, verbose=0)
    if kind == "list":
        outputs = dict(
            zip(("query", "candidate", "rating"), outputs, strict=True)
        )
    scores = outputs["query"] @ outputs["candidate"].T
    expected = np.log(np.exp(scores).sum(-1)) - np.diag(scores)
    assert found["retrieval_loss"] == pytest.approx(expected.mean(), rel=1e-4)
    gap = np.abs(outputs["rating"] - U).mean()
    assert found["rating_mae"] == pytest.approx(gap, rel=1e-4)
    own = model.task_variables
    assert len(own["retrieval"]) == 4
    assert own["rating"] == own["small"] == []


def towers_in_keras():
    """Both outputs as one, which plain Keras has a loss of."""
    towers = two_towers(keras.Model)
    outputs = towers.output
    joined = keras.layers.Concatenate(name="towers")(
        [outputs["query"], outputs["candidate"]]
    )
    model = keras.Model(
        towers.input, {"towers": joined, "rating": outputs["rating"]}
    )

    def loss(_, y_pred):
        return pairs({"query": y_pred[:, :3], "candidate": y_pred[:, 3:]})

    model.compile(keras.optimizers.SGD(0.1), {"towers": loss, "rating": "mse"})
    return model


def test_a_loss_of_two_outputs_trains_as_in_keras():
    plain, model = towers_in_keras(), two_towers()
    losses = {"towers": Task(pairs, outputs=["query", "candidate"])}
    losses["rating"] = "mse"
    model.compile(keras.optimizers.SGD(0.1), losses, strategy="ew")
    for _ in range(3):
        plain.train_on_batch(X, {"towers": np.zeros((6, 6)), "rating": U})
        model.train_on_batch(X, {"rating": U})
    shared = (model.layers[1], plain.layers[1])
    names = ("query", "candidate", "rating")
    for one, other in [
        shared,
        *((model.get_layer(n), plain.get_layer(n)) for n in names),
    ]:
        toy.assert_near(*map(toy.weights, (one, other)), atol=1e-6)


def with_twins(strategy):
    """An output for each of the losses, in place of one for all."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((2,))
    x = keras.layers.Dense(4, activation="tanh")(inputs)
    u = keras.layers.Dense(1)(x)
    names = ("near", "far")
    outputs = {name: keras.layers.Identity()(u) for name in names}
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    losses = {"near": "mse", "far": "mae"}
    model.compile(keras.optimizers.SGD(0.1), losses, strategy=strategy)
    return model, dict.fromkeys(names, U)


def without_twins(strategy):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((2,))
    x = keras.layers.Dense(4, activation="tanh")(inputs)
    model = keras_mtl.MultiTaskModel(inputs, {"u": keras.layers.Dense(1)(x)})
    losses = {"near": Task("mse", "u"), "far": Task("mae", "u")}
    model.compile(keras.optimizers.SGD(0.1), losses, strategy=strategy)
    return model, {"u": U}


@pytest.mark.parametrize("name", ["db_mtl", "fs_mtl", "upgrad", "famo"])
def test_losses_of_one_output_are_those_of_an_output_each(name):
    models = []
    for make in (with_twins, without_twins):
        model, y = make(name)
        for _ in range(3):
            model.train_on_batch(X, y)
        models.append(model)
    toy.assert_near(*map(toy.weights, models), atol=1e-6)


def test_weights_of_samples_and_missing_labels():
    """A value per sample is weighed; a label that is NaN is left out."""
    labels = U.copy()
    labels[:2] = np.nan

    def by_sample(y_true, inputs, y_pred):
        return ops.sum(ops.square(y_true - y_pred) + 0 * inputs, axis=-1)

    model = two_towers()
    model.compile(
        "sgd",
        {
            "rating": by_sample,
            "retrieval": Task(pairs, outputs=["query", "candidate"]),
            "size": Task(size, outputs="rating"),
        },
        strategy="ew",
    )
    weights = np.array([1, 1, 0, 2, 3, 0], "float32")
    logs = toy.step(
        model, X, {"rating": labels}, sample_weight={"rating": weights}
    )
    model = two_towers()
    gaps = 2 * np.square(U - model.predict(X, verbose=0)["rating"])[:, 0]
    assert logs["rating_loss"] == pytest.approx(
        (gaps * weights)[2:].mean(), rel=1e-5
    )


def test_what_takes_no_labels_needs_none():
    model = two_towers()
    loss = {
        "query": size,
        "candidate": Task(size),
        "rating": lambda y_pred, training: ops.mean(y_pred**2),
    }
    model.compile("sgd", loss, strategy="upgrad")
    before = toy.weights(model)
    model.fit(X, batch_size=6, verbose=0)
    assert all(
        (a != b).any() for a, b in zip(before, toy.weights(model), strict=True)
    )
    assert model.evaluate(X, verbose=0, return_dict=True)["query_loss"] > 0


def test_it_goes_on_from_a_file(tmp_path):
    paths = [tmp_path / "a.keras", tmp_path / "b.keras"]
    loss = {"data": Task("mse", weight=2.0), "residual": residual, "size": size}
    model = compiled("db_mtl", loss, rate=0.01)
    model.fit(X, U, batch_size=3, shuffle=False, verbose=0)
    model.save(paths[0])
    again = keras.saving.load_model(paths[0])
    for each in (model, again):
        each.fit(X, U, batch_size=3, shuffle=False, verbose=0)
    close(model.get_weights(), again.get_weights(), 1e-7)
    model.compile("sgd", {"u": "mse", "small": lambda y_pred: size(y_pred)})
    with pytest.raises(ValueError, match="register_keras_serializable"):
        model.save(paths[1])
    assert not paths[1].exists()


def test_the_representation_of_several_losses_of_one_output_is_the_output():
    strategy = keras_mtl.Strategy(
        aggregator="upgrad", gradients="representation"
    )
    model = compiled(strategy, {"data": Task("mse"), "size": size})
    model.fit(X, U, batch_size=6, verbose=0)
    moved = [
        before - ops.convert_to_numpy(after)
        for before, after in zip((W, C), model.trainable_variables, strict=True)
    ]
    z = X @ W
    u = z**3 @ C
    rows = np.stack([(u - U) / 3, u / 3])
    (merged,) = keras_mtl.aggregators.get("upgrad")([rows])
    merged = ops.convert_to_numpy(merged)
    close(moved, [X.T @ (merged * 3 * z**2 * C.T), (z**3).T @ merged], 3e-5)
    with pytest.raises(ValueError, match="'residual' calls the model itself"):
        compiled(strategy)


def test_samples_of_each_task_of_its_own():
    x = {"inside": X, "ends": X[:2]}
    loss = losses({"data": "ends", "residual": "inside", "size": "ends"})
    model = compiled("sum", loss, metrics={"data": ["mae"]})
    logs = toy.step(model, x, {"ends": U[:2]})
    known_losses = {
        "data": known("data", x=X[:2], u=U[:2]),
        "residual": known("residual"),
        "size": known("size", x=X[:2]),
    }
    for task, (value, _) in known_losses.items():
        assert logs[f"{task}_loss"] == pytest.approx(value, rel=1e-5)
    moved = [
        before - ops.convert_to_numpy(after)
        for before, after in zip((W, C), model.trainable_variables, strict=True)
    ]
    gradients = zip(*(parts for _, parts in known_losses.values()), strict=True)
    close(moved, [sum(parts) for parts in gradients], 3e-5)
    found = model.test_on_batch(x, {"ends": U[:2]}, return_dict=True)
    gap = np.abs(model.predict(X[:2], verbose=0)["u"] - U[:2]).mean()
    assert float(found["data_mae"]) == pytest.approx(gap, rel=1e-5)
