"""KerasTuner takes a multi-task model as it takes any other."""

import keras
import numpy as np
import pytest

import keras_mtl
from tests.comparison import tiny_problem

tuner_package = pytest.importorskip("keras_tuner")

pytestmark = [
    # Of its own use of Keras and NumPy.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # What is tested here depends on no backend.
    pytest.mark.slow_on("jax", "tensorflow"),
]


def build(parameters):
    model = tiny_problem.build()
    model.compile(
        keras.optimizers.Adam(
            parameters.Float("learning_rate", 1e-4, 0.1, sampling="log")
        ),
        tiny_problem.model_losses(),
        strategy=keras_mtl.strategies.FSMTL(
            parameters.Choice("aggregator", ["mean", "pcgrad"]),
            rho=parameters.Float("rho", 0.01, 1.0, sampling="log"),
        ),
    )
    return model


def test_strategies_are_searched(tmp_path):
    (x, y), test = tiny_problem.load_data()
    tuner = tuner_package.RandomSearch(
        build,
        objective=tuner_package.Objective("val_sum_loss", "min"),
        max_trials=2,
        seed=0,
        directory=tmp_path,
    )
    tuner.search(x, y, validation_data=test, batch_size=32, verbose=0)
    best = tuner.get_best_hyperparameters()[0]
    assert 0.01 <= best.values["rho"] <= 1.0
    (trial,) = tuner.oracle.get_best_trials()
    model = tuner.get_best_models()[0]
    # The weights are those that were measured, whatever their strategy is.
    assert model.strategy.flatness.get_config()["rho"] == best.values["rho"]
    found = model.evaluate(*test, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["sum_loss"], trial.score, rtol=1e-5)
