"""TaskMonitor against gradients taken one batch at a time."""

import io
import sys
import types

import keras
import numpy as np
import pytest
from matplotlib.image import imread
from training import toy

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import balancers
from keras_mtl.callbacks import TaskMonitor
from keras_mtl.flatness import TaskSAM
from keras_mtl.visualization import plot_conflicts

TASKS = ("a", "b", "c")
BATCH, SAMPLES = 6, 18


def make_model(strategy, learning_rate=0.0, **kwargs):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((5,))
    x = keras.layers.Dense(4, activation="tanh", name="first")(inputs)
    x = keras.layers.Dense(3, activation="tanh", name="second")(x)
    model = keras_mtl.MultiTaskModel(
        inputs, {task: keras.layers.Dense(1, name=task)(x) for task in TASKS}
    )
    # The same weights in all steps: what each step saw can be found later.
    model.compile(
        keras.optimizers.SGD(learning_rate),
        loss=dict.fromkeys(TASKS, "mse"),
        strategy=strategy,
        **kwargs,
    )
    return model


def data():
    generator = np.random.default_rng(1)
    x = generator.normal(size=(SAMPLES, 5)).astype("float32")
    labels = generator.normal(size=(3, SAMPLES, 1)) * [[[1]], [[3]], [[0.5]]]
    return x, {
        task: label.astype("float32")
        for task, label in zip(TASKS, labels, strict=True)
    }


def fit(model, monitor, x=None, y=None, epochs=1):
    if x is None:
        x, y = data()
    return model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[monitor],
    ).history


def rows_by_batch(model, x, y):
    """Task gradients `[K, P]` of each batch, and the losses."""
    for start in range(0, SAMPLES, BATCH):
        part = slice(start, start + BATCH)
        losses, gradients = model.task_gradients(
            x[part], {task: label[part] for task, label in y.items()}
        )
        yield (
            np.concatenate(
                [
                    keras.ops.convert_to_numpy(g).reshape(3, -1)
                    for g in gradients.shared
                ],
                axis=1,
            ).astype("float64"),
            keras.ops.convert_to_numpy(losses),
        )


def cosines_of(rows, others=None):
    others = rows if others is None else others
    norms = np.linalg.norm(rows, axis=1)
    other_norms = np.linalg.norm(others, axis=1)
    return rows @ others.T / norms[:, None] / other_norms[None, :]


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("aggregator", ["mgda", "db_mtl", "grad_drop"])
def test_it_is_what_task_gradients_tells(aggregator):
    model = make_model(
        keras_mtl.Strategy(balancer="log", aggregator=aggregator)
    )
    monitor = TaskMonitor()
    history = fit(model, monitor, epochs=2)
    found = list(rows_by_batch(model, *data()))
    cosines = [cosines_of(rows) for rows, _ in found]
    pairs = np.triu_indices(3, 1)
    for epoch in range(2):
        assert_close(monitor.cosines[epoch], np.mean(cosines, axis=0))
        assert_close(
            history["conflict_ratio"][epoch],
            np.mean([cosine[pairs] < 0 for cosine in cosines]),
        )
        for k, task in enumerate(TASKS):
            assert_close(
                history[f"{task}_gradient_norm"][epoch],
                np.mean([np.linalg.norm(rows[k]) for rows, _ in found]),
            )
            assert_close(
                history[f"{task}_weight"][epoch],
                np.mean([1 / (losses[k] + 1e-8) for _, losses in found]),
            )
    assert 0 < history["conflict_ratio"][0] < 1
    assert_close(history["a_c_cosine"][0], monitor.cosines[0][0, 2])


def test_the_weights_of_the_aggregator():
    model = make_model("mgda")
    history = fit(model, TaskMonitor())
    mgda = aggregators.MGDA()
    weights = [
        keras.ops.convert_to_numpy(
            mgda.compute_weights(
                keras.ops.convert_to_tensor((rows @ rows.T).astype("float32"))
            )
        )
        for rows, _ in rows_by_batch(model, *data())
    ]
    for k, task in enumerate(TASKS):
        # The minimum of a quadratic function, at which it is flat: float32.
        np.testing.assert_allclose(
            history[f"{task}_row_weight"],
            [np.mean(weights, axis=0)[k]],
            atol=1e-4,
        )


@pytest.mark.parametrize("combine", ["decomposed", "direct"])
@pytest.mark.parametrize("aggregator", ["cagrad", "mean"])
def test_flat_parts(combine, aggregator):
    rho = 0.3
    model = make_model(
        keras_mtl.Strategy(
            flatness=TaskSAM(
                rho=rho, combine=combine, variables=in_first_layer
            ),
            aggregator=aggregator,
        )
    )
    monitor = TaskMonitor()
    history = fit(model, monitor)
    x, y = data()
    clean = [rows for rows, _ in rows_by_batch(model, x, y)]
    flat = []
    start = model.get_weights()
    for number, rows in enumerate(clean):
        parts = []
        for k in range(3):
            # kernel [5, 4] and bias [4] of the first layer.
            step = rows[k, :24] * rho / np.linalg.norm(rows[k, :24])
            moved = [w.copy() for w in start]
            moved[0] = moved[0] + step[:20].reshape(5, 4)
            moved[1] = moved[1] + step[20:]
            model.set_weights(moved)
            sharp = [r for r, _ in rows_by_batch(model, x, y)][number]
            parts.append(sharp[k] - rows[k])
        flat.append(np.stack(parts))
    model.set_weights(start)
    # Differences of float32 gradients, of a tenth of their size.
    for epoch_value, expected in (
        (
            monitor.flat_cosines[0],
            np.mean([cosines_of(rows) for rows in flat], axis=0),
        ),
        (
            [history[f"{task}_loss_flat_cosine"][0] for task in TASKS],
            np.mean(
                [
                    np.diagonal(cosines_of(rows, others))
                    for rows, others in zip(clean, flat, strict=True)
                ],
                axis=0,
            ),
        ),
        (
            [history[f"{task}_flat_norm"][0] for task in TASKS],
            np.mean([np.linalg.norm(rows, axis=1) for rows in flat], axis=0),
        ),
    ):
        np.testing.assert_allclose(epoch_value, expected, rtol=1e-3, atol=1e-3)


def in_first_layer(variable):
    return "first" in variable.path


def test_absent_tasks_do_not_count():
    x, y = data()
    y["b"][:BATCH] = np.nan
    model = make_model("cagrad")
    monitor = TaskMonitor()
    history = fit(model, monitor, x, y)
    complete = list(rows_by_batch(model, *data()))
    cosines = [cosines_of(rows) for rows, _ in complete]
    assert_close(
        monitor.cosines[0][0, 1], np.mean([c[0, 1] for c in cosines[1:]])
    )
    assert_close(monitor.cosines[0][0, 2], np.mean([c[0, 2] for c in cosines]))
    assert_close(
        history["b_gradient_norm"][0],
        np.mean([np.linalg.norm(rows[1]) for rows, _ in complete[1:]]),
    )


def test_the_training_is_the_same_with_and_without():
    models = [
        make_model(keras_mtl.strategies.FSMTL(aggregators.PCGrad(seed=3)), 0.1)
        for _ in range(2)
    ]
    x, y = data()
    fit(models[0], TaskMonitor(), epochs=2)
    models[1].fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
    toy.assert_near(toy.weights(models[0]), toy.weights(models[1]), atol=1e-6)
    # And nobody watches any more.
    models[0].fit(x, y, batch_size=BATCH, verbose=0)
    assert models[0].task_statistics is None
    assert not models[0].strategy.recorder.enabled


def test_a_strategy_without_task_gradients_has_weights_only():
    history = fit(
        make_model(keras_mtl.Strategy(balancer=balancers.Fixed([1, 2, 3]))),
        TaskMonitor(),
    )
    assert history["c_weight"] == [3.0]
    assert not any("norm" in name or "cosine" in name for name in history)
    assert "conflict_ratio" not in history


def test_pairs_can_be_left_out():
    history = fit(make_model("mgda"), TaskMonitor(pairs=False))
    assert not any(name.endswith("_cosine") for name in history)
    assert "conflict_ratio" in history


def test_it_reaches_other_callbacks(tmp_path):
    model = make_model("mgda", 0.1)
    x, y = data()
    path = tmp_path / "log.csv"
    model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=2,
        verbose=0,
        callbacks=[TaskMonitor(), keras.callbacks.CSVLogger(str(path))],
    )
    head, *lines = path.read_text().splitlines()
    assert "conflict_ratio" in head.split(",")
    assert len(lines) == 2


def test_absent_tasks_in_a_csv_file(tmp_path):
    x, y = data()
    # No label of `b` in the first epoch.
    labels = iter([{**y, "b": np.full_like(y["b"], np.nan)}, y])
    model = make_model("mgda", 0.1)
    path = tmp_path / "log.csv"
    logger = keras.callbacks.CSVLogger(str(path), append=True)
    for epoch in range(2):
        model.fit(
            x,
            next(labels),
            batch_size=BATCH,
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=0,
            callbacks=[TaskMonitor(), logger],
        )
    head, *lines = path.read_text().splitlines()
    rows = [
        dict(zip(head.split(","), line.split(","), strict=True))
        for line in lines
    ]
    assert len(rows) == 2
    for name in ("b_gradient_norm", "a_b_cosine", "b_weight"):
        values = [float(row[name]) for row in rows]
        assert np.isnan(values[0]) and np.isfinite(values[1])
        assert np.isfinite(float(rows[0]["a_c_cosine"]))


def test_cosines_as_images_in_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing import event_accumulator

    monitor = TaskMonitor(log_dir=tmp_path)
    fit(make_model("mgda"), monitor, epochs=2)
    events = event_accumulator.EventAccumulator(
        str(tmp_path / "train"), size_guidance={"images": 0}
    )
    events.Reload()
    # No flat parts, no image of them.
    assert events.Tags()["images"] == ["epoch_cosine"]
    images = events.Images("epoch_cosine")
    assert [image.step for image in images] == [0, 1]
    for image, cosines in zip(images, monitor.cosines, strict=True):
        drawn = pixels_of(image.encoded_image_string)
        assert drawn.shape[:2] == (image.height, image.width)
        file = io.BytesIO()
        plot_conflicts(cosines, TASKS).savefig(file, format="png")
        np.testing.assert_array_equal(drawn, pixels_of(file.getvalue()))


def pixels_of(png):
    """The pixels of a PNG file."""
    return imread(io.BytesIO(png), format="png")


@pytest.mark.parametrize("package", ["matplotlib", "tensorboard"])
def test_images_say_what_they_need(package, monkeypatch):
    # With both there, but for the one that is not.
    monkeypatch.setitem(sys.modules, "tensorboard", types.ModuleType("tb"))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImportError, match=rf"'{package}'.*pip install \"keras-mtl\[tensor"
    ):
        TaskMonitor(log_dir="logs")


def test_without_a_strategy_there_is_nothing_to_watch():
    with pytest.raises(ValueError, match="watches the steps of a strategy"):
        fit(make_model(None), TaskMonitor())
