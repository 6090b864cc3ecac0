"""A batch without a task is a batch of a model without that task."""

import keras
import numpy as np
import pytest
from hypothesis import Phase
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import balancers
from training import toy

SAMPLES = 6
IGNORED = -1
STEPS = 2

AGGREGATORS = sorted(aggregators.REGISTRY.names())
BALANCERS = sorted(balancers.REGISTRY.names())
#: Not comparable, by what they are.
SKIPPED = {
    "random": "Its numbers depend on how many are drawn.",
    "rlw": "Its numbers depend on how many are drawn.",
    "cosmos": "Its preferences depend on how many are drawn.",
    "auto_lambda": "It learns from data of its own.",
}
#: With two tasks left, the order that they draw makes no difference.
DRAW_ORDERS = ("pcgrad", "gradvac")


def tasks_for(name):
    return tuple("abc" if name in DRAW_ORDERS else "abcde")


def losses(tasks):
    """Every other task is a regression, the others have three classes."""
    return {
        task: keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=IGNORED
        )
        if k % 2
        else "mse"
        for k, task in enumerate(tasks)
    }


def compiled_model(tasks, strategy, absent=None):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((4,))
    features = keras.layers.Dense(5, activation="tanh")(inputs)
    model = keras_mtl.MultiTaskModel(
        inputs,
        {task: keras.layers.Dense(3, name=task)(features) for task in tasks},
    )
    loss = losses(tasks)
    if absent is not None:
        loss[absent] = None
    return toy.compiled(model, strategy, loss=loss)


def batches(tasks, seed):
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        x = rng.normal(size=(SAMPLES, 4)).astype("float32")
        y = {
            task: rng.integers(0, 3, size=SAMPLES).astype("int32")
            if k % 2
            else (3 * rng.normal(size=(SAMPLES, 3))).astype("float32")
            for k, task in enumerate(tasks)
        }
        yield x, y


def without_labels(y, absent, how):
    """Labels and sample weights of a batch without a task."""
    if how == "weight":
        ones = np.ones(SAMPLES, dtype="float32")
        return y, {**dict.fromkeys(y, ones), absent: 0 * ones}
    missing = np.nan if how == "nan" else IGNORED
    return {**y, absent: np.full_like(y[absent], missing)}, None


def assert_same_state(model, without, place):
    """Compares the strategies' state, but for what is of one task's own."""
    # One for each variable: two are shared, and two of each head.
    own = [f"velocity_{2 + 2 * place}", f"velocity_{3 + 2 * place}"]
    variables = [v for v in model.strategy.variables if v.name not in own]
    for one, other in zip(variables, without.strategy.variables, strict=True):
        if "seed" in one.path:
            continue
        (value,), (wanted,) = toy.arrays([one]), toy.arrays([other])
        for axis, size in enumerate(wanted.shape):
            if value.shape[axis] == size + 1:
                value = np.delete(value, place, axis=axis)
        np.testing.assert_allclose(
            value, wanted, atol=1e-4, rtol=1e-3, err_msg=one.path
        )


def check(name, make, how, place, seed):
    """Trains with the task absent, and without the task."""
    tasks = tasks_for(name)
    absent = tasks[place]
    # Methods that draw get their seed from here.
    keras.utils.set_random_seed(seed)
    model = compiled_model(tasks, make())
    keras.utils.set_random_seed(seed)
    without = compiled_model(tasks, make(), absent)
    untouched = toy.arrays(model.get_layer(absent).variables)
    start = toy.weights(model)
    for x, y in batches(tasks, seed):
        labels, weight = without_labels(y, absent, how)
        logs = toy.step(model, x, labels, sample_weight=weight)
        others = {task: y[task] for task in tasks if task != absent}
        expected = toy.step(without, x, others)
    toy.assert_same(toy.arrays(model.get_layer(absent).variables), untouched)
    # What float32 rounds off otherwise in sums of another length; solvers and
    # divisions by small numbers make more of it.
    toy.assert_near(toy.weights(model), toy.weights(without), 1e-5, 1e-4)
    assert toy.distance(start, toy.weights(model)) > 1e-4
    assert logs.keys() == {*expected, f"{absent}_loss"}
    assert np.isnan(logs[f"{absent}_loss"])
    for key, value in expected.items():
        assert logs[key] == pytest.approx(value, rel=1e-4), key
    assert_same_state(model, without, place)


def cases(names):
    """How, and which task; `ignore` and `nan` need labels of their kind."""

    def chosen(how, pick):
        count = len(tasks_for(names))
        places = {
            "nan": range(0, count, 2),
            "ignore": range(1, count, 2),
            "weight": range(count),
        }[how]
        return how, places[pick % len(places)]

    return st.builds(
        chosen,
        st.sampled_from(["nan", "ignore", "weight"]),
        st.integers(0, 9),
    )


STRATEGIES = {
    **{
        name: lambda name=name: keras_mtl.Strategy(aggregator=name)
        for name in AGGREGATORS
    },
    **{
        name: lambda name=name: keras_mtl.Strategy(balancer=name)
        for name in BALANCERS
    },
    **{
        name: lambda name=name: keras_mtl.Strategy(
            flatness=name, aggregator="mgda"
        )
        for name in ("task_sam", "global_sam", "momentum_sam")
    },
    # Both models must draw the same numbers.
    "grad_drop": lambda: keras_mtl.Strategy(
        aggregator=aggregators.GradDrop(seed=1)
    ),
    "representation": lambda: keras_mtl.Strategy(
        aggregator="mgda", gradients="representation"
    ),
    "layers": lambda: keras_mtl.Strategy(
        aggregator="nash_mtl", granularity="layer"
    ),
}


@pytest.mark.skipif(
    toy.BACKEND != "torch", reason="Eager; the graphs have a test below."
)
@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=3, deadline=None, phases=[Phase.generate])
@given(data=st.data(), seed=st.integers(0, 2**31))
def test_an_absent_task_might_as_well_not_be_there(name, data, seed):
    if name in SKIPPED:
        pytest.skip(SKIPPED[name])
    how, place = data.draw(cases(name))
    check(name, STRATEGIES[name], how, place, seed)


@pytest.mark.parametrize(
    "aggregator, balancer, how, place",
    [
        ("mgda", "log", "nan", 0),
        ("db_mtl", "uw", "ignore", 3),
        ("nash_mtl", "dwa", "weight", 1),
        ("imtl_g", "famo", "nan", 4),
        ("cagrad", "imtl_l", "ignore", 1),
    ],
)
def test_in_a_compiled_step(aggregator, balancer, how, place):
    def make():
        return keras_mtl.Strategy(balancer=balancer, aggregator=aggregator)

    check(aggregator, make, how, place, seed=0)


def test_no_labels_at_all():
    tasks = tuple("abc")
    model = compiled_model(tasks, "mgda")
    model.compile("sgd", loss=dict.fromkeys(tasks, "mse"), strategy="mgda")
    before = toy.snapshot(model)
    x, _ = next(batches(tasks, 0))
    nothing = np.full((SAMPLES, 3), np.nan, dtype="float32")
    with pytest.raises(ValueError, match="Every label of every task is NaN"):
        model.fit(x, dict.fromkeys(tasks, nothing), verbose=0)
    with pytest.raises(ValueError, match="'a', 'b', 'c' needs labels"):
        model.fit(x, [nothing] * 3, verbose=0)
    toy.assert_same(toy.snapshot(model), before)
    # Labels for one of them are enough.
    some = {**dict.fromkeys(tasks, nothing), "b": np.ones_like(nothing)}
    model.fit(x, some, verbose=0)
    assert toy.distance(before["weights"], toy.weights(model)) > 1e-4
