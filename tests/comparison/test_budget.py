"""Budgets and trials that end early, also after an interruption."""

import pytest

from keras_mtl.comparison.budget import read_budget
from keras_mtl.comparison.objective import read_objective
from keras_mtl.comparison.pruning import PRUNERS
from keras_mtl.comparison.pruning import Pruner
from keras_mtl.comparison.pruning import curve_of
from keras_mtl.comparison.settings import Settings
from keras_mtl.comparison.tuning import check_tuning


def trial(seconds, **others):
    return {"seconds": {"epochs": seconds}, **others}


@pytest.mark.parametrize(
    ("text", "spent", "left"),
    [
        ("300", 3, 96),
        ("300 epochs", 3, 96),
        ("300s", 4.5, 1),
        ("300 seconds", 4.5, 1),
    ],
)
def test_budgets(text, spent, left):
    budget = read_budget(text)
    assert budget.amount == 300
    assert budget.spent(trial([1.5, 1.0, 2.0])) == spent
    # What diverged at once counts, too: it would go on for ever.
    assert budget.spent(trial([])) > 0
    assert budget.trials_left(287.5, 3) == left
    assert budget.trials_left(0.0, 3) == 0


def test_epochs_of_all_tasks_count():
    assert read_budget("300").spent(trial([1.0, 1.0], trained_epochs=5)) == 5


@pytest.mark.parametrize("text", ["0", "-1", "3 h", "1.5", ""])
def test_what_is_no_budget(text):
    with pytest.raises(ValueError, match=r"(?s)`budget` must be .*budget="):
        Settings(backends=("jax",), budget=text)


def test_they_are_of_tuning():
    for given in ({"budget": "300"}, {"pruner": "median"}):
        with pytest.raises(ValueError, match="add --tune learning_rate"):
            check_tuning(Settings(backends=("jax",), **given))
    with pytest.raises(ValueError, match=r"halving.*hyperband.*median"):
        Settings(backends=("jax",), pruner="wilcoxon")


#: The third and the last are the worst after each epoch.
CURVES = [
    [3.0, 2.0, 1.0, 0.9],
    [3.0, 2.5, 1.2, 0.8],
    [8.0, 7.0, 7.5, 7.0],
    [3.0, 1.5, 1.0, 1.0],
    [2.0, 1.2, 0.5, 0.4],
    [float("inf")],
    [9.0, 8.0, 9.0, 9.0],
]


def pruned(name, curves):
    """What is left of the curves if each is gone through after the others."""
    left = []
    for curve in curves:
        pruner, seen = Pruner(name, 4, left), []
        for value in curve:
            seen.append(value)
            if pruner.ends(value):
                break
        left.append(seen)
    return left


@pytest.mark.parametrize("name", PRUNERS)
def test_what_goes_badly_ends_early_and_nothing_else(name):
    pytest.importorskip("optuna")
    left = pruned(name, CURVES)
    assert pruned(name, CURVES) == left
    assert left[0] == CURVES[0] and left[4] == CURVES[4]
    if name != "hyperband":
        # That one has brackets in which nothing ends early.
        assert len(left[6]) < 4


def test_the_median_as_optuna_has_it():
    """In one study that lives, without anything being gone through again."""
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study(
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4)
    )
    for curve, found in zip(CURVES, pruned("median", CURVES), strict=True):
        alive, seen = study.ask(), []
        for epoch, value in enumerate(curve, 1):
            seen.append(value)
            alive.report(value, epoch)
            if alive.should_prune():
                break
        assert seen == found
        study.tell(alive, seen[-1])


def test_curves_are_of_the_objective():
    record = {
        "tasks": ["a", "b"],
        "history": [
            {"val_loss": 1.0, "val_a_auc": 0.5, "val_b_auc": 0.7},
            {"val_loss": None, "val_a_auc": None, "val_b_auc": 0.7},
        ],
    }
    infinite = float("inf")
    for name, expected in (
        ("test_loss", [1.0, infinite]),
        ("test_mean_auc", [-0.6, infinite]),
        ("test_b_auc", [-0.7, -0.7]),
    ):
        objective = read_objective(name)
        assert curve_of(record, objective) == pytest.approx(expected)
