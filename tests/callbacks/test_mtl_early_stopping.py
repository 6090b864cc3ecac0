"""When training ends, and with which weights."""

import keras
import numpy as np
import pytest

from keras_mtl.callbacks import MTLEarlyStopping
from tests.training import toy

METRICS = {"a": "max", "b": "min"}
#: Accuracy of task a, error of task b, by epochs.
VALUES = [(0.5, 1.0), (0.6, 0.8), (0.7, 0.9), (0.6, 0.71), (0.6, 0.9)]


class Model:
    """Stands in for a model that is never trained."""

    def __init__(self):
        self.stop_training = False
        self.epoch = None

    def get_weights(self):
        return [self.epoch]

    def set_weights(self, weights):
        (self.epoch,) = weights


def run(values, **arguments):
    """Plays epochs back and returns the callback and its model."""
    callback = MTLEarlyStopping(
        metrics=METRICS, restore_best_weights=True, **arguments
    )
    model = Model()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, (accuracy, error) in enumerate(values):
        callback.on_epoch_begin(epoch)
        callback.on_test_begin()
        model.epoch = epoch
        callback.on_epoch_end(epoch, {"val_a": accuracy, "val_b": error})
        if model.stop_training:
            break
    callback.on_train_end()
    return callback, model


@pytest.mark.parametrize(
    ("rule", "patience", "stopped", "best"),
    [
        # Drops against (0.5, 1.0): 0, -20, -25, -24.5, -15 percent.
        ("delta_m", 1, 3, 2),
        ("delta_m", 2, 4, 2),
        ("delta_m", 3, None, 2),
        # Ranks of the first three epochs: (3, 3), (2, 1), (1, 2), so that the
        # third, equal, is no better. Of the first four: (4, 4), (2.5, 2),
        # (1, 3), (2.5, 1): the fourth beats the second.
        ("mean_rank", 1, 2, 1),
        ("mean_rank", 2, None, 3),
        # Task b gets worse in the third epoch, then better; task a has its
        # last best in the third.
        ("any", 1, 2, 1),
        ("any", 2, 4, 3),
        ("all", 1, 4, 3),
        ("all", 2, None, 3),
    ],
)
def test_stops_and_restores_by_the_rule(rule, patience, stopped, best):
    baselines = {"a": 0.5, "b": 1.0} if rule == "delta_m" else None
    callback, model = run(
        VALUES, rule=rule, patience=patience, baselines=baselines
    )
    assert callback.stopped_epoch == stopped
    assert callback.best_epoch == best
    assert model.epoch == best
    assert model.stop_training == (stopped is not None)


def test_small_improvements_do_not_count():
    values = [(0.5, 1.0), (0.51, 0.99), (0.52, 0.98), (0.53, 0.97)]
    arguments = {"rule": "all", "patience": 3}
    assert run(values, **arguments)[0].stopped_epoch is None
    # Less than 0.05 in all three epochs together.
    callback, _ = run(values, min_delta=0.05, **arguments)
    assert callback.stopped_epoch == 3


def test_warm_up_is_not_looked_at():
    values = [(0.9, 0.1), *VALUES]
    assert run(values, rule="all", patience=1)[0].stopped_epoch == 1
    callback, model = run(values, rule="all", patience=1, start_from_epoch=1)
    assert callback.stopped_epoch == 5
    assert model.epoch == 4


@pytest.mark.parametrize("rule", ["delta_m", "mean_rank", "all"])
def test_nan_is_no_improvement(rule):
    baselines = {"a": 0.5, "b": 1.0} if rule == "delta_m" else None
    values = [(0.5, 1.0), (np.nan, np.nan), (np.nan, np.nan)]
    callback, model = run(values, rule=rule, patience=2, baselines=baselines)
    assert callback.stopped_epoch == 2
    assert model.epoch == 0


def test_a_fit_ends_with_the_weights_of_the_best_epoch():
    model = toy.compiled(
        # So fast that the losses rise.
        toy.make_model(),
        "db_mtl",
        optimizer=keras.optimizers.SGD(3.0),
    )
    weights = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights())
    )
    stopping = MTLEarlyStopping(
        rule="mean_rank",
        patience=2,
        metrics={"left_loss": "min", "right_loss": "min"},
        restore_best_weights=True,
    )
    history = toy.fit(
        model,
        epochs=12,
        callbacks=[record, stopping],
        validation_data=toy.data(seed=1),
    )
    epochs = len(history["loss"])
    assert stopping.stopped_epoch == epochs - 1 < 11
    assert stopping.best_epoch <= epochs - 3
    toy.assert_same(toy.weights(model), weights[stopping.best_epoch])
    assert toy.distance(toy.weights(model), weights[-1]) > 0
    # What is restored is what is evaluated.
    logs = model.evaluate(*toy.data(seed=1), verbose=0, return_dict=True)
    np.testing.assert_allclose(
        logs["left_loss"],
        history["val_left_loss"][stopping.best_epoch],
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "sum"}, "`rule` must be one of"),
        ({"patience": -1}, "`patience` must be an integer, at least 0"),
        ({"min_delta": -0.1}, "`min_delta` must be a number in"),
        ({"start_from_epoch": -1}, "`start_from_epoch` must be an integer"),
        ({"metrics": None}, "`metrics` must be a dict from the names"),
        ({"metrics": {"a": "up"}}, "must be one of .'min', 'max'."),
        ({"rule": "delta_m"}, '`baselines` goes with rule="delta_m"'),
        ({"baselines": {"a": 1.0}}, '`baselines` goes with rule="delta_m"'),
        (
            {"rule": "delta_m", "baselines": {"a": 1.0}},
            r"Missing: \['b'\]",
        ),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MTLEarlyStopping(**{"metrics": METRICS, **arguments})
