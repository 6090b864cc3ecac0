"""The search, against a problem whose best setting has a closed form."""

import numpy as np
import pytest

from keras_mtl.comparison.tuner import Range
from keras_mtl.comparison.tuner import Tried
from keras_mtl.comparison.tuner import best_of
from keras_mtl.comparison.tuner import opened_storage
from keras_mtl.comparison.tuner import suggest
from keras_mtl.comparison.tuner import write_storage
from keras_mtl.comparison.tuning import setting_of

pytest.importorskip("optuna")
pytest.importorskip("torch")

#: Three orders of magnitude, with the best learning rate, 0.047, in the middle
#: and near an end.
RATES = [Range(1e-3, 1.0), Range(1e-4, 0.1)]
STEPS, NOISES = 100, np.array([0.01, 0.1])


def loss_after_descent(setting):
    """Two quadratic tasks from 1, with noise in the gradients.

    A step of gradient descent on task k has the size a = rate * weight_k: what
    is left of the start is exp(-2 a STEPS), and the noise adds a * NOISES / 2.
    """
    sizes = setting["learning_rate"] * np.array(setting["loss_weights"])
    return np.sum(np.exp(-2.0 * sizes * STEPS) + sizes * NOISES / 2.0)


def found_by(seed, rates):
    space = {"learning_rate": rates, "loss_weights/0": Range(0.0, 1.0)}
    generator, tried = np.random.default_rng(seed), []
    for _ in range(30):
        drawn = suggest(space, tried, seed)
        loss = loss_after_descent(setting_of(drawn, 2))
        loss *= 1.0 + 0.001 * generator.normal()
        tried.append(Tried(drawn, float(loss)))
    return setting_of(tried[best_of(tried)].drawn, 2)


def is_right(setting):
    # Where the derivative by the size of a step is 0.
    sizes = np.log(4.0 * STEPS / NOISES) / (2.0 * STEPS)
    rate = sizes.mean()
    found = [setting["learning_rate"], *setting["loss_weights"]]
    return bool(np.allclose(found, [rate, *(sizes / rate)], rtol=0.1, atol=0))


def test_the_best_setting_is_found():
    assert is_right(found_by(0, RATES[0]))


@pytest.mark.slow
@pytest.mark.parametrize("rates", RATES)
def test_the_best_setting_is_found_from_nine_of_ten_seeds(rates):
    assert sum(is_right(found_by(seed, rates)) for seed in range(10)) >= 9


def test_the_first_is_in_the_middle():
    space = {"a": Range(0.01, 1.0), "b": Range(-1.0, 2.0)}
    assert suggest(space, [], 3) == pytest.approx({"a": 0.1, "b": 0.5})


def test_the_same_trials_are_followed_by_the_same():
    tried = [Tried({"a": 0.1 * n}, float(n % 3)) for n in range(9)]
    tried.append(Tried({"a": 0.95}, float("inf")))
    space = {"a": Range(0.0, 1.0)}
    first = suggest(space, tried, 0)
    assert suggest(space, tried, 0) == first
    assert suggest(space, tried[:2], 1) != suggest(space, tried[:2], 0)
    # What is better the more of it there is has negative values.
    lower = [it._replace(value=-it.value) for it in tried[:9]]
    assert suggest(space, lower, 0) != first
    assert 0.0 <= first["a"] <= 1.0
    lost = [Tried({"a": 0.1 * n}, float("inf")) for n in range(9)]
    assert 0.0 <= suggest(space, lost, 0)["a"] <= 1.0


def test_loss_weights_are_dirichlets():
    generator = np.random.default_rng(0)
    weights = np.array(
        [
            setting_of({f"loss_weights/{i}": u for i, u in enumerate(draw)}, 3)[
                "loss_weights"
            ]
            for draw in generator.uniform(size=(4000, 2))
        ]
    )
    np.testing.assert_allclose(weights.sum(axis=1), 3.0)
    # Of Dirichlet(1, 1, 1), times 3: means 1, variances 9 * 2 / 36.
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.05)
    np.testing.assert_allclose(weights.var(axis=0), 0.5, atol=0.05)


def test_optunas_file_has_each_trial_once(tmp_path):
    import optuna

    path, space = tmp_path / "tuning.db", {"a": Range(0.1, 1.0)}
    tried = [
        Tried({"a": 0.5}, 1.0),
        Tried({"a": 0.25}, float("inf")),
        Tried({"a": 0.2}, 0.5),
        Tried({"a": 0.1}, 0.25, pruned=True),
    ]
    assert best_of(tried) == 2 and best_of(tried[3:]) == 0
    for count in (1, 3, 4, 4):
        write_storage(path, "jax, ew", space, tried[:count])
    with opened_storage(path) as storage:
        study = optuna.load_study(study_name="jax, ew", storage=storage)
        assert [it.params["a"] for it in study.trials] == [0.5, 0.25, 0.2, 0.1]
        assert study.best_value == 0.5
