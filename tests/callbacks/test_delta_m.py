"""What is in the logs is what the papers' formulas give."""

import keras
import numpy as np
import pytest

from keras_mtl.callbacks import DeltaM
from tests.training import toy

BASELINES = {"left_loss": 2.0, "right_accuracy": 0.5}


def fit(callbacks, **arguments):
    model = toy.compiled(
        toy.make_model(), "ew", metrics={"right": ["accuracy"]}
    )
    arguments.setdefault("validation_data", toy.data(seed=1))
    return model, toy.fit(model, callbacks=callbacks, **arguments)


def drop(history, prefix="val_"):
    loss = np.array(history[f"{prefix}left_loss"])
    accuracy = np.array(history[f"{prefix}right_accuracy"])
    worse = (loss - 2.0) / 2.0 - (accuracy - 0.5) / 0.5
    return 100.0 * worse / 2.0


@pytest.mark.parametrize("prefix", ["val_", ""])
def test_writes_the_comparison_into_the_history(prefix):
    callback = DeltaM(BASELINES, {"right_accuracy"}, prefix=prefix)
    _, history = fit([callback])
    expected = drop(history, prefix)
    assert len(expected) == 2
    np.testing.assert_allclose(history["delta_m"], expected, rtol=1e-12)
    np.testing.assert_allclose(history["delta_p"], -expected, rtol=1e-12)


def test_tasks_have_one_vote_each_in_delta_p():
    baselines = {
        "left": {"left_loss": 2.0},
        "right": {"right_accuracy": 0.5, "right_loss": 1.0},
    }
    _, history = fit([DeltaM(baselines, {"right_accuracy"})])
    gains = [
        1.0 - np.array(history["val_left_loss"]) / 2.0,
        np.array(history["val_right_accuracy"]) / 0.5 - 1.0,
        1.0 - np.array(history["val_right_loss"]),
    ]
    np.testing.assert_allclose(
        history["delta_m"], -100.0 * np.mean(gains, axis=0)
    )
    np.testing.assert_allclose(
        history["delta_p"],
        100.0 * (gains[0] + (gains[1] + gains[2]) / 2.0) / 2.0,
    )


def test_later_callbacks_can_monitor_it(tmp_path):
    path = tmp_path / "best.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(
        path, monitor="delta_m", mode="min", save_best_only=True
    )
    seen = []
    stopping = keras.callbacks.EarlyStopping(
        "delta_m", mode="min", min_delta=1e6
    )
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(logs["delta_m"])
    )
    callbacks = [
        DeltaM(BASELINES, {"right_accuracy"}),
        checkpoint,
        stopping,
        record,
    ]
    _, history = fit(callbacks, epochs=5)
    assert path.exists() and checkpoint.best == min(history["delta_m"])
    # No epoch is a million percent better than the first.
    assert len(history["delta_m"]) == 2
    assert seen == history["delta_m"]


def test_the_best_epoch_can_be_saved(tmp_path):
    path = tmp_path / "best.keras"
    weights = []
    callbacks = [
        # The last step is too long.
        keras.callbacks.LearningRateScheduler([0.1, 0.1, 5.0].__getitem__),
        DeltaM(BASELINES, {"right_accuracy"}),
        keras.callbacks.ModelCheckpoint(
            path, monitor="delta_m", mode="min", save_best_only=True
        ),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: weights.append(toy.weights(model))
        ),
    ]
    model = toy.compiled(
        toy.make_model(), "ew", metrics={"right": ["accuracy"]}
    )
    history = toy.fit(
        model, callbacks=callbacks, epochs=3, validation_data=toy.data(seed=1)
    )
    best = int(np.argmin(history["delta_m"]))
    assert best < 2
    toy.assert_same(toy.weights(keras.saving.load_model(path)), weights[best])


def test_epochs_without_validation_have_none():
    _, history = fit(
        [DeltaM(BASELINES, {"right_accuracy"})], epochs=4, validation_freq=2
    )
    assert len(history["loss"]) == 4
    np.testing.assert_allclose(history["delta_m"], drop(history))
    assert len(history["delta_m"]) == 2


def test_warns_if_nothing_is_ever_validated():
    with pytest.warns(UserWarning, match="DeltaM had nothing to judge"):
        fit([DeltaM(BASELINES, False)], validation_data=None)


def test_names_what_the_logs_do_not_have():
    callback = DeltaM({"left_mae": 1.0}, False)
    with pytest.raises(ValueError, match=r"misses \['val_left_mae'\]"):
        fit([callback])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baselines": {}}, "`baselines` must be a dict by task"),
        ({"baselines": {"a": 0.0}}, "need positive baselines"),
        (
            {"baselines": {"a": 1.0}, "higher_is_better": {"b"}},
            r"names \['b'\], which are no metrics",
        ),
        (
            {"baselines": {"t": {"a": 1.0}, "u": {"a": 1.0}}},
            "must name each metric once",
        ),
        ({"baselines": {"a": 1.0}, "prefix": None}, "`prefix` must be a str"),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DeltaM(**{"higher_is_better": False, **arguments})
