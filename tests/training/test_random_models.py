"""What must hold for every model, on random ones."""

import keras
import numpy as np
import pytest

import keras_mtl
from training import toy
from training.random_models import Recipe

# keras.Model tells of layers that no loss depends on.
pytestmark = pytest.mark.filterwarnings("ignore:Gradients do not exist")

#: A few in each run; `-m slow` takes all.
FEW, ALL = range(4), range(4, 300)
seeds = pytest.mark.parametrize(
    "seed",
    [*FEW, *(pytest.param(seed, marks=pytest.mark.slow) for seed in ALL)],
)
STRATEGIES = ["mgda", "upgrad", "db_mtl", "mean", "dwa"]


def trained(recipe, strategy, cls=keras_mtl.MultiTaskModel, **kwargs):
    """A model after two steps, with one optimizer step each."""
    permuted = kwargs.pop("permuted", False)
    absent = kwargs.pop("absent", None)
    removed = kwargs.pop("removed", None)
    model = recipe.model(cls, permuted)
    losses = dict.fromkeys(model.output_names, "mse")
    if isinstance(model.output, dict):
        losses = dict.fromkeys(model.output, "mse")
    if removed is not None:
        losses[removed] = None
    toy.compiled(
        model, strategy, keras.optimizers.SGD(0.1), loss=losses, **kwargs
    )
    for x, y in recipe.batches():
        if absent is not None:
            y = {**y, absent: np.full_like(y[absent], np.nan)}
        if removed is not None:
            y = {task: label for task, label in y.items() if task != removed}
        model.train_on_batch(x, y)
    return model


def by_path(model):
    """Arrays of the model's weights by path."""
    return {
        weight.path: array
        for weight, array in zip(
            model.weights, toy.arrays(model.weights), strict=True
        )
    }


def assert_near(left, right, atol=1e-6):
    left, right = by_path(left), by_path(right)
    assert sorted(left) == sorted(right)
    for path, array in left.items():
        np.testing.assert_allclose(
            array, right[path], atol=atol, rtol=1e-5, err_msg=path
        )


@seeds
def test_training_is_that_of_keras(seed):
    recipe = Recipe(seed)
    plain = trained(recipe, None, keras.Model, run_eagerly=True)
    for strategy in (None, "ew"):
        model = trained(recipe, strategy, run_eagerly=True)
        assert_near(model, plain)


def of_strategies(seed):
    name = STRATEGIES[seed % len(STRATEGIES)]
    granularity = ("model", "layer")[seed // len(STRATEGIES) % 2]
    if name == "dwa":
        return keras_mtl.Strategy("dwa", aggregator="cagrad")
    return keras_mtl.Strategy(aggregator=name, granularity=granularity)


@seeds
def test_an_absent_task_is_as_if_removed(seed):
    recipe = Recipe(seed)
    task = recipe.tasks[-1]
    absent = trained(recipe, of_strategies(seed), absent=task, run_eagerly=True)
    left = [t for t in recipe.tasks if t != task]
    if len(left) < 2 and seed % len(STRATEGIES) == 2:
        return  # DB-MTL is not defined for one task.
    removed = trained(
        recipe, of_strategies(seed), removed=task, run_eagerly=True
    )
    assert_near(absent, removed, atol=1e-4)


@seeds
def test_the_order_of_tasks_makes_no_difference(seed):
    recipe = Recipe(seed)
    model = trained(recipe, of_strategies(seed), run_eagerly=True)
    permuted = trained(
        recipe, of_strategies(seed), permuted=True, run_eagerly=True
    )
    assert_near(model, permuted, atol=1e-4)


@seeds
def test_two_runs_are_equal_and_a_file_goes_on(seed, tmp_path):
    recipe = Recipe(seed)
    one = trained(recipe, of_strategies(seed), run_eagerly=True)
    other = trained(recipe, of_strategies(seed), run_eagerly=True)
    toy.assert_same(toy.weights(one), toy.weights(other))
    one.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for model in (one, loaded):
        for x, y in recipe.batches(1):
            model.train_on_batch(x, y)
    toy.assert_same(toy.weights(one), toy.weights(loaded))
