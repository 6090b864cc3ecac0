"""Weights of rows from some of the variables, or in every n-th step only."""

import keras
import numpy as np
import pytest

import keras_mtl
from training import toy
from training.test_low_memory import GRAMIAN_METHODS
from training.test_low_memory import QUICK
from training.test_low_memory import labelled
from training.test_low_memory import tree

RATE, SAMPLES = 0.05, 16


def trained(aggregator="upgrad", steps=3, data=None, **kwargs):
    keras.utils.set_random_seed(0)
    model = tree()
    toy.compiled(
        model,
        keras_mtl.Strategy(aggregator=aggregator, **kwargs),
        keras.optimizers.SGD(0.1),
        loss={**toy.losses(), "third": "mse"},
    )
    for _ in range(steps):
        toy.step(model, *(data or labelled()))
    return model


def everything(variable):
    return True


@pytest.mark.parametrize(
    "name",
    [
        name
        if toy.BACKEND == "torch" or name in QUICK
        else pytest.param(name, marks=pytest.mark.slow)
        for name in GRAMIAN_METHODS
    ],
)
def test_of_all_variables_it_is_the_full_method(name):
    full = trained(name)
    chosen = trained(name, weights_from=everything)
    toy.assert_near(toy.weights(chosen), toy.weights(full), atol=1e-5)
    toy.assert_near(
        toy.arrays(chosen.strategy.variables),
        toy.arrays(full.strategy.variables),
        atol=1e-4,
    )


def test_of_all_variables_with_missing_labels_and_weights():
    x, y = labelled()
    y["third"] = np.full_like(y["third"], np.nan)
    y["left"][:5] = np.nan
    data = x, y
    kwargs = {"balancer": "log", "aggregator": "mgda", "data": data}
    full = trained(**kwargs)
    for chosen in (
        trained(**kwargs, weights_from=everything),
        trained(**kwargs, memory="low"),
    ):
        toy.assert_near(toy.weights(chosen), toy.weights(full), atol=1e-5)


# ------------------------------------------------- against NumPy, by hand


class Linear:
    """Two shared linear layers and a linear head per task, in NumPy."""

    def __init__(self):
        generator = np.random.default_rng(0)

        def draw(*shape):
            return generator.normal(size=shape).astype("float32")

        self.x = draw(SAMPLES, 4)
        self.y = {task: draw(SAMPLES, 1) for task in "abc"}
        self.first, self.second = 0.5 * draw(4, 5), 0.5 * draw(5, 3)
        self.heads = {task: draw(3, 1) for task in "abc"}

    def model(self):
        dense = keras.layers.Dense
        inputs = keras.Input((4,))
        features = dense(5, use_bias=False, name="first")(inputs)
        features = dense(3, use_bias=False, name="second")(features)
        model = keras_mtl.MultiTaskModel(
            inputs,
            {t: dense(1, use_bias=False, name=t)(features) for t in "abc"},
        )
        for name, value in (
            ("first", self.first),
            ("second", self.second),
            *self.heads.items(),
        ):
            model.get_layer(name).kernel.assign(value)
        return model

    def gradients(self):
        """By task: of the kernels of both layers and of the head."""
        found = {}
        for task, head in self.heads.items():
            hidden = self.x @ self.first
            error = hidden @ self.second @ head - self.y[task]
            slope = 2 * error / SAMPLES
            behind = slope @ head.T
            found[task] = (
                self.x.T @ behind @ self.second.T,
                hidden.T @ behind,
                (hidden @ self.second).T @ slope,
            )
        return found

    def step(self, gradients, weights):
        for task, weight in zip("abc", weights, strict=True):
            first, second, head = gradients[task]
            self.first = self.first - RATE * weight * first
            self.second = self.second - RATE * weight * second
            self.heads[task] = self.heads[task] - RATE * head


def weights_by(aggregator, gradients, places):
    rows = np.stack(
        [
            np.concatenate([gradients[task][place].ravel() for place in places])
            for task in "abc"
        ]
    )
    return np.array(toy.arrays([aggregator.compute_weights(rows @ rows.T)])[0])


@pytest.mark.parametrize(
    ("weights_from", "update_every", "places"),
    [
        ("last_shared", 1, [1]),
        (["first"], 1, [0]),
        (lambda variable: variable.path.startswith("first"), 1, [0]),
        (None, 3, [0, 1]),
        ("last_shared", 2, [1]),
    ],
    ids=["last", "layer", "function", "every third", "last, every other"],
)
@pytest.mark.every_case
def test_steps_are_those_computed_by_hand(weights_from, update_every, places):
    expected = Linear()
    model = toy.compiled(
        expected.model(),
        keras_mtl.Strategy(
            aggregator="mgda",
            weights_from=weights_from,
            update_every=update_every,
        ),
        keras.optimizers.SGD(RATE),
        loss="mse",
    )
    aggregator = keras_mtl.aggregators.MGDA()
    for step in range(4):
        gradients = expected.gradients()
        if step % update_every == 0:
            weights = weights_by(aggregator, gradients, places)
        expected.step(gradients, weights)
        toy.step(model, expected.x, expected.y)
    found = {v.path: v for v in model.trainable_variables}
    for name, value in (
        ("first", expected.first),
        ("second", expected.second),
        *expected.heads.items(),
    ):
        array = toy.arrays([found[f"{name}/kernel"]])[0]
        np.testing.assert_allclose(array, value, atol=1e-5, err_msg=name)


def test_the_representation_is_what_gradients_by_it_give():
    models = []
    for argument in ("weights_from", "gradients"):
        strategy = keras_mtl.Strategy(
            aggregator="mgda", **{argument: "representation"}
        )
        model = toy.compiled(toy.make_model(), strategy)
        toy.fit(model, epochs=2)
        models.append(model)
    toy.assert_near(*map(toy.weights, models), atol=1e-5)


# ------------------------------------------------ weights of every n-th step


def test_tasks_that_come_later_begin_with_one():
    x, y = labelled()
    absent = {**y, "third": np.full_like(y["third"], np.nan)}
    strategy = {"aggregator": "mgda", "update_every": 10}
    model = trained(data=(x, absent), steps=1, **strategy)
    (kept,) = toy.arrays([model.strategy.last_row_weights])
    assert kept[2] == 1
    assert kept[0] + kept[1] == pytest.approx(1, abs=1e-5)
    toy.step(model, x, y)
    toy.assert_same(toy.arrays([model.strategy.last_row_weights]), [kept])


def test_state_changes_only_where_weights_are_computed():
    # Random numbers, and how often they were drawn, are state.
    models = [
        trained(keras_mtl.aggregators.PCGrad(seed=3), steps, update_every=4)
        for steps in (1, 4, 5)
    ]
    first, fourth, fifth = (
        toy.arrays(model.strategy.aggregator.variables) for model in models
    )
    toy.assert_same(first, fourth)
    assert any((a != b).any() for a, b in zip(fourth, fifth, strict=True))


def test_a_file_goes_on_in_the_middle(tmp_path):
    strategy = {"weights_from": ["trunk"], "update_every": 3}
    model = trained(steps=2, **strategy)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        for _ in range(2):
            toy.step(one, *labelled())
    toy.assert_same(*map(toy.weights, (model, loaded)))


def test_monitor_counts_the_steps_that_looked():
    seen = {}
    for update_every in (1, 2):
        model = trained("mgda", steps=0, update_every=update_every)
        monitor = keras_mtl.callbacks.TaskMonitor()
        x, y = labelled()
        # Two steps an epoch with no change in between.
        model.optimizer.learning_rate = 0.0
        seen[update_every] = toy.fit(
            model, x, y, epochs=1, batch_size=len(x), callbacks=[monitor]
        )
    for name, values in seen[1].items():
        assert seen[2][name] == pytest.approx(values, abs=1e-5), name


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"weights_from": "last"}, '"last_shared"'),
        ({"weights_from": []}, "a list of layers"),
        ({"weights_from": "last_shared", "aggregator": "db_mtl"}, "DBMTL"),
        ({"weights_from": "last_shared", "flatness": "task_sam"}, "TaskSAM"),
        ({"weights_from": "last_shared", "memory": "low"}, "memory"),
        ({"update_every": 2, "granularity": "layer"}, "granularity"),
        ({"update_every": 2, "accumulate": 2}, "accumulate"),
        ({"update_every": 0}, "update_every"),
    ],
)
def test_what_cannot_go_together(kwargs, match):
    with pytest.raises(ValueError, match=match):
        keras_mtl.Strategy(**{"aggregator": "mgda", **kwargs})


@pytest.mark.parametrize(
    ("weights_from", "match"),
    [
        (["nowhere"], "'nowhere'.*trunk, bn, branch"),
        (["left"], "'left'"),
        (["branch"], "Task 'third' reaches none"),
        (lambda variable: False, "no variable"),
    ],
)
def test_choices_that_a_model_lacks(weights_from, match):
    model = trained("sum", steps=0)
    before = toy.snapshot(model)
    strategy = keras_mtl.Strategy(aggregator="mgda", weights_from=weights_from)
    with pytest.raises(ValueError, match=match):
        model.fit(*labelled(), strategy=strategy, verbose=0)
    toy.assert_same(toy.snapshot(model), before)
