"""The callback writes what the function measures, and leaves no trace."""

import keras
import numpy as np
import pytest

from keras_mtl.analysis import task_sharpness
from keras_mtl.callbacks import SharpnessMonitor
from tests.analysis import dense
from tests.training import toy

QUICK = {"iterations": 0, "adaptive_rho": None}


def test_writes_what_the_function_measures(tmp_path):
    model = toy.compiled(toy.make_model(), "ew")
    x, y = toy.data()
    options = {"rho": 0.1, "variables": "shared", "iterations": 20}
    monitor = SharpnessMonitor((x, y), 2, 8, interval=2, **options)
    path = tmp_path / "log.csv"
    logger = keras.callbacks.CSVLogger(str(path))
    history = toy.fit(model, epochs=3, callbacks=[monitor, logger])
    assert monitor.epochs == [0, 2]
    assert len(history["loss"]) == 3
    part = x[:16], {task: label[:16] for task, label in y.items()}
    sharpness = task_sharpness(model, part, None, 8, **options)
    for name, values in (
        ("sam_gap", sharpness.gaps[:, 0]),
        ("adaptive_sam_gap", sharpness.adaptive_gaps[:, 0]),
        ("top_eigenvalue", sharpness.eigenvalues),
    ):
        for task, value in zip(("left", "right"), values, strict=True):
            entries = history[f"{task}_{name}"]
            assert len(entries) == 2 and entries[0] != entries[1]
            assert entries[1] == value > 0
    np.testing.assert_array_equal(monitor.results[1].gaps, sharpness.gaps)
    head, *lines = path.read_text().splitlines()
    column = head.split(",").index("left_sam_gap")
    written = [line.split(",")[column] for line in lines]
    assert written[1] == "NA"
    assert [float(written[i]) for i in (0, 2)] == history["left_sam_gap"]


def everything(model):
    """All state of the model, bit for bit."""
    return {
        **toy.snapshot(model),
        "variables": toy.arrays(model.variables),
        "metrics": toy.arrays(model.metrics_variables),
    }


@pytest.mark.parametrize("training", [False, True])
def test_changes_nothing(training):
    x, y = toy.data()
    models = []
    for callbacks in (
        [],
        [SharpnessMonitor((x, y), training=training, iterations=2)],
    ):
        # One dropout has a seed, the other draws as the backend likes.
        model = toy.compiled(
            toy.make_model(batch_norm=True, dropout=0.3),
            "ew",
            keras.optimizers.Adam(0.1),
        )
        toy.fit(model, callbacks=callbacks)
        models.append(model)
    toy.assert_same(everything(models[0]), everything(models[1]))
    before = everything(models[1])
    found = [
        task_sharpness(models[1], (x, y), training=training, **QUICK).gaps
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*found)
    toy.assert_same(everything(models[1]), before)


def test_works_without_a_strategy_and_follows_the_layers():
    model = dense.make_model()
    x, y = dense.data()
    monitor = SharpnessMonitor((x, y), **QUICK)
    model.fit(x, y, verbose=0, callbacks=[monitor])
    model.get_layer("a").trainable = False
    model.compile("sgd", dict.fromkeys(dense.TASKS, "mse"))
    model.fit(x, y, verbose=0, callbacks=[monitor])
    frozen = task_sharpness(model, (x, y), **QUICK)
    np.testing.assert_array_equal(monitor.results[0].gaps, frozen.gaps)
    model.get_layer("a").trainable = True
    thawed = task_sharpness(model, (x, y), **QUICK)
    assert frozen.gaps[0, 0] != thawed.gaps[0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"data": "test"},
            "`data` must be a tuple.* of type str",
        ),
        ({"interval": 0}, "`interval` must be an integer, at least 1"),
        ({"rho": [0.1, 0.2]}, "`rho` must be a number in .0, inf. or None"),
        ({"variables": None}, "`variables` must be one of"),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SharpnessMonitor(**{"data": dense.data(), **arguments})


def test_refuses_plain_keras_models():
    model = toy.compiled(toy.make_model(cls=keras.Model))
    with pytest.raises(ValueError, match="compiled with `loss={task: ...}`"):
        toy.fit(model, callbacks=[SharpnessMonitor(toy.data(), **QUICK)])
