"""Tasks with inputs of their own, `task_inputs=True`."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl.datasets.idx_files import read_idx_images
from training import toy

TASKS = ("a", "b", "c")
#: By task, in another order than that of the heads.
SIZES = {"c": 3, "a": 8, "b": 5}
LOSSES = {"a": "mse", "b": "sparse_categorical_crossentropy", "c": "mae"}
RATE = 0.1


def make_model(batch_norm=False, dropout=0.0, dropout_seed=None):
    keras.utils.set_random_seed(3)
    trunk = [keras.layers.Dense(8, activation="tanh", name="trunk")]
    if batch_norm:
        trunk.append(keras.layers.BatchNormalization(momentum=0.5))
    if dropout:
        trunk.append(keras.layers.Dropout(dropout, seed=dropout_seed))
    return keras_mtl.MultiTaskModel(
        trunk=keras.Sequential(trunk),
        heads={
            "a": keras.layers.Dense(1, name="a"),
            "b": keras.layers.Dense(3, activation="softmax", name="b"),
            "c": keras.layers.Dense(2, name="c"),
        },
        task_inputs=True,
    )


def built(model):
    model(data()[0])
    return model


def data(sizes=None, seed=0):
    sizes = sizes or SIZES
    rng = np.random.default_rng(seed)
    x = {
        task: (k + 1) * rng.normal(size=(size, 6)).astype("float32")
        for k, (task, size) in enumerate(sizes.items())
    }
    y = {
        "a": x["a"][:, :1] - x["a"][:, 1:2],
        "b": np.argmax(x["b"][:, :3], axis=-1).astype("int32"),
        "c": x["c"][:, 2:4],
    }
    return x, y


def by_path(model):
    paths = [variable.path for variable in model.weights]
    return dict(zip(paths, toy.weights(model), strict=True))


# ---------------------------------------------------------------- gradients


def gradients_by_plain_keras(model, task, x, y):
    """Gradients by a Keras model of one task, which shares the weights."""
    values = toy.weights(model)
    network = model.network
    alone = keras.Sequential([network.trunk, network.heads[task]])
    alone.compile(keras.optimizers.SGD(1.0), loss=LOSSES[task])
    before = by_path(model)
    alone.train_on_batch(x[task], y[task])
    after = by_path(model)
    model.set_weights(values)
    return {path: before[path] - after[path] for path in before}


def test_gradients_are_those_of_separate_models():
    x, y = data()
    model = toy.compiled(
        built(make_model(batch_norm=True)),
        "sum",
        keras.optimizers.SGD(RATE),
        loss=LOSSES,
    )
    assert model.shared_variables == model.network.trunk.trainable_variables
    expected = {
        task: gradients_by_plain_keras(model, task, x, y) for task in TASKS
    }
    losses, gradients = model.task_gradients(x, y)
    assert tuple(losses.shape) == (3,)
    # Differences of float32 weights of order 1 and less.
    for variable, stack in zip(
        model.shared_variables, gradients.shared, strict=True
    ):
        for task, row in zip(TASKS, ops.convert_to_numpy(stack), strict=True):
            np.testing.assert_allclose(
                row, expected[task][variable.path], atol=1e-5
            )
    for task, variables in model.task_variables.items():
        names = [v.path.split("/")[-2:] for v in variables]
        assert names == [[task, "kernel"], [task, "bias"]]
        for variable, gradient in zip(
            variables, gradients.own[task], strict=True
        ):
            np.testing.assert_allclose(
                ops.convert_to_numpy(gradient),
                expected[task][variable.path],
                atol=1e-5,
            )
    before = by_path(model)
    toy.step(model, x, y)
    after = by_path(model)
    for variable in model.trainable_variables:
        path = variable.path
        total = sum(expected[task][path] for task in TASKS)
        np.testing.assert_allclose(
            before[path] - after[path], RATE * total, atol=1e-6
        )


def test_task_model_is_a_separate_model():
    x, _ = data()
    model = built(make_model(batch_norm=True))
    together = model.predict(
        {task: np.resize(array, (4, 6)) for task, array in x.items()}, verbose=0
    )
    for task in TASKS:
        alone = model.task_model(task)
        assert model.task_model(task) is alone
        np.testing.assert_allclose(
            alone.predict(np.resize(x[task], (4, 6)), verbose=0),
            together[task],
            atol=1e-6,
        )
        weights = {id(v) for v in alone.weights}
        assert weights < {id(v) for v in model.weights}


# ------------------------------------------------------- statistics, dropout


@pytest.mark.parametrize("name", ["ew", "fs_mtl"])
def test_statistics_are_those_of_calls_in_the_order_of_heads(name):
    x, y = data()
    reference = built(make_model(batch_norm=True))
    for task in TASKS:
        reference.network.trunk(x[task], training=True)
    model = toy.compiled(
        built(make_model(batch_norm=True)),
        toy.fresh_strategy(name),
        loss=LOSSES,
    )
    toy.step(model, x, y)
    expected = toy.arrays(reference.network_variables(False))
    actual = toy.arrays(model.network_variables(False))
    # Perturbed passes would leave other means; another order as well.
    toy.assert_near(actual, expected)
    other = built(make_model(batch_norm=True))
    for task in SIZES:
        other.network.trunk(x[task], training=True)
    wrong = toy.arrays(other.network_variables(False))
    assert toy.distance(actual, wrong) > 1e-3


@pytest.mark.parametrize("dropout_seed", [None, 7])
def test_perturbed_passes_see_the_same_dropout_masks(dropout_seed):
    x, y = data()

    def update(strategy):
        model = built(make_model(dropout=0.5, dropout_seed=dropout_seed))
        toy.compiled(model, strategy, loss=LOSSES)
        keras.utils.set_random_seed(1)
        toy.step(model, x, y)
        toy.step(model, x, y)
        return toy.weights(model)

    # Another mask would differ by about 0.1.
    toy.assert_near(update(toy.every_pass()), update("sum"), atol=1e-5)


# ------------------------------------------------------------------- fitting


def dataset(mode, **kwargs):
    x, y = data({"a": 20, "b": 9, "c": 12})
    return keras_mtl.datasets.MultiTaskDataset(
        {task: (x[task], y[task]) for task in TASKS},
        batch_size={"a": 8, "b": 3, "c": 6},
        mode=mode,
        **kwargs,
    )


@pytest.mark.parametrize("mode", ["cycle", "shortest", "proportional"])
def test_fit(mode, tmp_path):
    model = make_model(batch_norm=mode == "cycle")
    strategy = toy.fs_mtl() if mode == "cycle" else "pcgrad"
    toy.compiled(model, strategy, loss=LOSSES)
    history = model.fit(dataset(mode), epochs=6, verbose=0).history
    for name in ("loss", *(f"{task}_loss" for task in TASKS)):
        assert np.isfinite(history[name]).all(), name
    assert history["loss"][-1] < history["loss"][0]
    if mode != "cycle":
        return
    # Short last batches are evaluated too.
    logs = model.evaluate(
        dataset("cycle", shuffle=False), return_dict=True, verbose=0
    )
    assert np.isfinite(list(logs.values())).all()
    x, y = data()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.network.task_inputs
    assert loaded.tasks == list(TASKS)
    for task in TASKS:
        np.testing.assert_array_equal(
            loaded.task_model(task).predict(x[task], verbose=0),
            model.task_model(task).predict(x[task], verbose=0),
        )
    for trained in (model, loaded):
        toy.step(trained, x, y)
    toy.assert_same(toy.snapshot(model), toy.snapshot(loaded))


def test_logs_are_weighted_by_the_tasks_own_batch_sizes():
    sizes = {"a": 20, "b": 9, "c": 12}
    x, y = data(sizes)
    model = toy.compiled(
        built(make_model()), "ew", keras.optimizers.SGD(0.0), loss=LOSSES
    )
    # Batches of a: 8, 8 and 4; of b: 3, 3 and 3; of c: 6 and 6, and another 6.
    history = model.fit(dataset("cycle", shuffle=False), verbose=0).history
    evaluated = model.evaluate(
        dataset("cycle", shuffle=False), return_dict=True, verbose=0
    )
    predicted = model.task_model("a").predict(x["a"], verbose=0)
    error = np.mean(np.square(predicted - y["a"]))
    for logs in ({k: v[0] for k, v in history.items()}, evaluated):
        assert logs["a_loss"] == pytest.approx(error, rel=1e-5)
        predicted = model.task_model("b").predict(x["b"], verbose=0)
        chosen = predicted[np.arange(9), y["b"]]
        assert logs["b_loss"] == pytest.approx(
            -np.mean(np.log(chosen)), rel=1e-5
        )


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "change, received",
    [
        (lambda x: {"a": x["a"], "c": x["c"]}, "inputs for 'a', 'c'"),
        (lambda x: {**x, "b": None}, "inputs for 'c', 'a', 'b'"),
        (lambda x: x["a"], "Received: "),
        (lambda x: list(x.values()), "Received: list"),
    ],
)
def test_missing_inputs(change, received):
    x, _ = data()
    model = built(make_model())
    with pytest.raises(ValueError, match="has inputs of its own") as error:
        model(change(x))
    text = str(error.value)
    assert "{'a': ..., 'b': ..., 'c': ...}" in text
    assert received in text


def test_a_missing_input_in_training_changes_nothing():
    x, y = data()
    model = toy.compiled(built(make_model()), "pcgrad", loss=LOSSES)
    before = toy.snapshot(model)
    with pytest.raises(ValueError, match="has inputs of its own"):
        toy.step(model, {"a": x["a"], "b": x["b"]}, y)
    toy.assert_same(toy.snapshot(model), before)
    toy.step(model, x, y)


def test_task_inputs_need_a_trunk_and_heads():
    inputs = keras.Input((6,))
    outputs = {task: keras.layers.Dense(1)(inputs) for task in TASKS}
    with pytest.raises(ValueError, match="`trunk`"):
        keras_mtl.MultiTaskModel(inputs, outputs, task_inputs=True)


# --------------------------------------------------------------- real images


def improves(sources, shape):
    """Trains on images of several domains; every task gets better."""
    keras.utils.set_random_seed(0)
    model = keras_mtl.MultiTaskModel(
        trunk=keras.Sequential(
            [
                keras.layers.Reshape((*shape, 1)),
                keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(32, activation="relu"),
            ]
        ),
        heads={
            task: keras.layers.Dense(10, activation="softmax")
            for task in sources
        },
        task_inputs=True,
    )
    toy.compiled(
        model,
        "pcgrad",
        keras.optimizers.Adam(0.01),
        loss=dict.fromkeys(sources, "sparse_categorical_crossentropy"),
        metrics=dict.fromkeys(sources, ["accuracy"]),
    )
    batches = keras_mtl.datasets.MultiTaskDataset(
        sources, batch_size=32, drop_remainder=True
    )
    history = model.fit(batches, epochs=5, verbose=0).history
    for task in sources:
        accuracy = history[f"{task}_accuracy"]
        # By chance it is a tenth.
        assert accuracy[-1] > max(accuracy[0] + 0.05, 0.7), task


def test_digits_in_three_domains():
    datasets = pytest.importorskip("sklearn.datasets")
    images, labels = datasets.load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype("float32") / 16
    labels = labels.astype("int32")
    domains = (images, 1 - images, images.transpose(0, 2, 1))
    improves(
        {
            # Each has images of its own, and another number of them.
            task: (domain[k::3][: 300 - 50 * k], labels[k::3][: 300 - 50 * k])
            for k, (task, domain) in enumerate(
                zip(("plain", "inverted", "turned"), domains, strict=True)
            )
        },
        (8, 8),
    )


def test_mnist_and_fashion_mnist():
    folder = os.environ.get("KERAS_MTL_TEST_DATA")
    if not folder:
        pytest.skip("KERAS_MTL_TEST_DATA names no folder with IDX files.")
    digits, digit_labels = read_idx_images(Path(folder) / "mnist", "train")
    clothes, cloth_labels = read_idx_images(
        Path(folder) / "fashion_mnist", "train"
    )
    improves(
        {
            task: (images.astype("float32") / 255, labels)
            for task, images, labels in (
                ("digits", digits[:400], digit_labels[:400]),
                ("inverted", 255 - digits[400:700], digit_labels[400:700]),
                ("clothes", clothes[:350], cloth_labels[:350]),
            )
        },
        (28, 28),
    )
