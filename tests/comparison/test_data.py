"""What the function of the data may return, and what is made of it."""

import json

import keras
import numpy as np
import pytest

from keras_mtl.comparison import Problem
from keras_mtl.comparison.comparison_work import ComparisonWork
from keras_mtl.comparison.data import read_data
from keras_mtl.comparison.identity import OtherProblemError
from keras_mtl.comparison.identity import data_identity
from keras_mtl.comparison.jobs import TRIAL_SEED
from keras_mtl.comparison.jobs import Job
from keras_mtl.comparison.settings import Settings
from tests.comparison import wine_problem

BACKEND = keras.backend.backend()
MODULE = "tests.comparison.wine_problem"


def work(tmp_path, dataset="load", **given):
    return ComparisonWork(
        Settings(
            **{
                "backends": (BACKEND,),
                "strategies": ("ew",),
                "model": f"{MODULE}:build",
                "dataset": f"{MODULE}:{dataset}",
                "epochs": 4,
                "batch_size": wine_problem.BATCH_SIZE,
                "output": str(tmp_path / "report"),
                **given,
            }
        )
    )


def do(made, seed=1, strategy="ew", trial=None):
    job = Job(BACKEND, strategy, seed, trial)
    return json.loads(made.do(job, lambda epoch, logs: None))


def by_hand(form, seed=1):
    """What a user would write; returns the model and the logs of `fit`."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    problem = wine_problem.load(form)
    keras.utils.set_random_seed(seed)
    if form == "data_loader":
        import torch

        torch.manual_seed(seed)
    model = wine_problem.build()
    if form == "arrays":
        x, y, weights = problem.train
        given = {"x": x, "y": y, "sample_weight": weights, "batch_size": 16}
    else:
        given = {"x": problem.train, "shuffle": form == "py_dataset"}
    logs = model.fit(
        **given,
        validation_data=problem.validation,
        epochs=4,
        strategy="ew",
        callbacks=wine_problem.callbacks(),
        verbose=0,
    ).history
    test = problem.test
    if form == "arrays":
        given = {"y": test[1], "sample_weight": test[2], "batch_size": 16}
        test = test[0]
        tested = model.evaluate(test, **given, return_dict=True, verbose=0)
    else:
        tested = model.evaluate(test, return_dict=True, verbose=0)
    return model, logs, tested


# Keras does, of a stream of unknown length.
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("form", wine_problem.FORMS)
def test_a_run_is_what_fit_does(tmp_path, form):
    made = work(tmp_path, f"load(form={form!r})")
    made.prepare()
    # An earlier run of the process changes nothing.
    do(made, seed=0)
    record = do(made)
    weights = wine_problem.kept[-1]
    model, logs, tested = by_hand(form)
    for found, expected in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    history = record["history"]
    # Stopped early, and gone back to earlier weights.
    assert len(history) == len(logs["loss"]) < 4
    for name, values in logs.items():
        mine = name.replace("val_", "validation_")
        assert [entry[mine] for entry in history] == values
    last = {f"val_{name}": value for name, value in tested.items()}
    assert {name: history[-1][name] for name in last} == last
    assert history[-1]["val_loss"] == history[-2]["val_loss"]
    assert history[-1]["validation_loss"] != history[-2]["validation_loss"]
    is_array = form == "arrays"
    assert record["num_train"] == (96 if is_array else None)
    steps = None if form == "filtered" else 6
    assert record["steps_per_epoch"] == steps
    assert len(record["seconds"]["epochs"]) == len(history)


def test_weights_of_samples_without_a_problem(tmp_path):
    made = work(tmp_path, "load_triples", epochs=1)
    identity = made.prepare()
    assert identity["num_train"] == 96 and identity["num_test"] == 40
    record = do(made)
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    (x, y, weights), _ = wine_problem.load_triples()
    model = wine_problem.build()
    logs = model.fit(
        x, y, 16, sample_weight=weights, strategy="ew", verbose=0
    ).history
    assert record["history"][0]["loss"] == logs["loss"][0]
    assert record["history"][0]["alcohol_mae"] == logs["alcohol_mae"][0]


def test_trials_are_measured_on_the_users_validation_examples(tmp_path):
    pytest.importorskip("optuna")
    made = work(
        tmp_path, "load(form='py_dataset')", tune=("learning_rate",), trials=1
    )
    made.prepare()
    trial = do(made, TRIAL_SEED, trial=0)
    assert "validation_loss" not in trial["history"][0]
    weights = wine_problem.kept[-1]
    model = wine_problem.build()
    model.set_weights(weights)
    x, y, sample_weight = wine_problem.parts()[2]
    tested = model.evaluate(
        x, y, 16, sample_weight=sample_weight, verbose=0, return_dict=True
    )
    assert trial["value"] == pytest.approx(tested["loss"], rel=1e-6)


def test_a_trial_that_callbacks_stop_is_a_result(tmp_path):
    pytest.importorskip("optuna")
    given = {"tune": ("learning_rate",), "trials": 1, "pruner": "median"}
    made = work(tmp_path, **given)
    made.prepare()
    trial = do(made, TRIAL_SEED, trial=0)
    assert len(trial["history"]) < 4 and trial["pruned"] is False


def test_nothing_to_choose_settings_on(tmp_path):
    made = work(
        tmp_path,
        "load(form='py_dataset', validation=False)",
        tune=("learning_rate",),
    )
    with pytest.raises(ValueError, match="are a Batches.*give the Problem `va"):
        made.prepare()


def test_functions_are_told_the_limit(tmp_path):
    made = work(tmp_path, "load_limited", limit=7)
    assert made.prepare()["num_train"] == 7
    assert wine_problem.made[-1] == 7
    # One that is not told is cut, and batches cannot be.
    made = work(tmp_path, "load", limit=7)
    assert made.prepare()["num_test"] == 7
    made = work(tmp_path, "load(form='py_dataset')", limit=7)
    with pytest.raises(ValueError, match="give the function an argument `lim"):
        made.prepare()


def test_other_batches_are_known_by_their_name(tmp_path, monkeypatch):
    made = work(tmp_path, "load(form='py_dataset')")
    made.prepare()
    for form in ("arrays", "py_dataset"):
        first, other = (
            data_identity(read_data("load", wine_problem.load(form, True, it)))
            for it in ("1", "2")
        )
        assert first["data"] != other["data"]
    # A function that returns something else at each call.
    original = wine_problem.load
    monkeypatch.setattr(
        wine_problem, "load", lambda form: original(form, version="2")
    )
    with pytest.raises(OtherProblemError, match="must return the same at each"):
        do(made)


def pair(rows=4):
    return np.ones((rows, 2)), {"a": np.ones(rows)}


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return pair()


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (3, "must return.*It returned: int"),
        (
            (pair(), pair(), pair()),
            r"returned: tuple of 3 \(tuple of 2 \(ndarray, dict\)",
        ),
        ((np.ones(3), np.ones(3)), r"tuple of 2 \(ndarray, ndarray\)"),
        (Problem(iter([pair()]), pair()), "`train`.*gone through only once"),
        (
            Problem(pair(), (it for it in [pair()])),
            "`test`.*only once.*: generator. Allowed are.*PyDataset",
        ),
        (Problem(Endless(), pair(), name="a"), "`train`.*never ends: Endless"),
        (Problem("x", pair()), r"`train` of the Problem.*Received: str"),
        (Problem(pair(), pair(), callbacks=[]), "callbacks=lambda"),
        (Problem(pair(), pair(), name=3), "`name`.*must be text.*3"),
        (Problem(pair(), ([1, 2], [3])), "no array of examples"),
        (
            Problem(pair(), (np.ones((3, 2)), np.ones(4))),
            r"same number of examples. Received: \[3, 4\]",
        ),
        (
            Problem(wine_problem.Batches(pair(), False), pair()),
            'needs a `name`.*version="1"',
        ),
    ],
)
def test_what_cannot_be_trained_on(returned, expected):
    with pytest.raises(ValueError, match=expected):
        read_data("my_module:load", returned)


def test_tf_data_that_never_ends():
    tensorflow = pytest.importorskip("tensorflow")
    dataset = tensorflow.data.Dataset.from_tensors(pair()).repeat()
    with pytest.raises(ValueError, match=r"never ends.*Remove `\.repeat"):
        read_data("load", Problem(dataset, pair(), name="a"))


def test_every_run_has_callbacks_of_its_own():
    shared = keras.callbacks.TerminateOnNaN()
    for returned, expected in (
        ([shared], "returned the same TerminateOnNaN twice"),
        (shared, "must return a list of Keras callbacks. It returned: Termin"),
    ):
        problem = Problem(pair(), pair(), callbacks=lambda it=returned: it)
        with pytest.raises(ValueError, match=expected):
            read_data("load", problem).check_callbacks()
