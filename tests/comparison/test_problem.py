"""Data and models of the user, and of data sets that have one."""

import keras
import numpy as np
import pytest

from keras_mtl.comparison.problem import load_data
from keras_mtl.comparison.problem import make_model
from keras_mtl.comparison.problem import resolve_strategy
from keras_mtl.comparison.settings import Settings
from keras_mtl.datasets.digit_pairs import ArraySamples


def settings(**given):
    if "model" in given:
        given["model"] = f"comparison_problem:{given['model']}"
    return Settings(backends=(keras.backend.backend(),), **given)


def test_no_more_than_the_limit_is_made(monkeypatch):
    asked_for = []
    take = ArraySamples.take

    def counted(samples, rows):
        asked_for.append(len(rows))
        return take(samples, rows)

    monkeypatch.setattr(ArraySamples, "take", counted)
    data = load_data(settings(limit=7))
    assert asked_for == [7, 7]
    assert data.train.count == len(data.train.x) == len(data.test.x) == 7
    assert data.train.y["left"].shape == data.test.y["right"].shape == (7,)


def test_data_of_the_user(user_folder):
    data = load_data(settings(dataset="comparison_problem:load_data"))
    assert data.train.x.shape == (32, 4)
    assert data.test.y["sign"].shape == (16,)


def test_data_in_another_form(user_folder):
    with pytest.raises(ValueError, match="It returned: MultiTaskModel"):
        load_data(settings(dataset="comparison_problem:build"))


@pytest.mark.parametrize("dataset", ["multi_digits", "multi_mnist"])
def test_models_of_image_pairs(dataset):
    model = make_model(settings(dataset=dataset))
    side = {"multi_digits": 20, "multi_mnist": 36}[dataset]
    outputs = model(np.zeros((2, side, side, 1), "float32"))
    assert model.tasks == list(outputs) == ["left", "right"]
    assert tuple(outputs["left"].shape) == (2, 10)


def test_learning_rate_replaces_that_of_the_model(user_folder):
    for value, expected in ((None, 0.01), (0.25, 0.25)):
        model = make_model(settings(model="build", learning_rate=value))
        rate = float(model.optimizer.learning_rate)
        assert rate == pytest.approx(expected, rel=1e-6)  # float32


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("load_data", "must return a keras_mtl.MultiTaskModel.*tuple"),
        ("plain", "wrap another Keras model with MultiTaskModel.from_model"),
        ("not_compiled", "must be compiled: call model.compile"),
    ],
)
def test_models_that_do_not_fit(user_folder, name, expected):
    with pytest.raises(ValueError, match=expected):
        make_model(settings(model=name))


def test_a_schedule_has_no_learning_rate_to_replace(user_folder):
    with pytest.raises(ValueError, match="optimizer has a schedule"):
        make_model(settings(model="with_schedule", learning_rate=0.1))


def test_a_model_must_be_new(user_folder):
    given = settings(model="build")
    model = make_model(given)
    model.optimizer.iterations.assign(1)
    import comparison_problem

    comparison_problem.build = lambda: model
    with pytest.raises(ValueError, match="make a new model at each call"):
        make_model(given)


def test_strategies_of_the_user(user_folder):
    found = resolve_strategy("comparison_problem:gentle")
    assert type(found.aggregator).__name__ == "PCGrad"
    with pytest.raises(ValueError, match="must name a function"):
        resolve_strategy("comparison_problem:not_a_function")
