"""Task gradients averaged over several batches before they are merged."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl import aggregators
from training import toy

COMPOSITIONS = {
    "sum": {"aggregator": "sum"},
    "log_sum": {"balancer": "log"},
    "mgda": {"aggregator": "mgda"},
    "pcgrad": {"aggregator": aggregators.PCGrad(seed=1)},
    "nash_log": {"balancer": "log", "aggregator": "nash_mtl"},
    "uncertainty": {"balancer": "uw"},
    "db_mtl": {"balancer": "log", "aggregator": "db_mtl"},
    "layers": {"aggregator": "upgrad", "granularity": "layer"},
}


def strategy(name, **kwargs):
    config = keras_mtl.Strategy(**COMPOSITIONS[name]).get_config()
    return keras_mtl.Strategy.from_config({**config, **kwargs})


def fitted(batch_size, accumulate, name, model=None, **kwargs):
    model = model or toy.make_model()
    toy.compiled(
        model,
        strategy(name, accumulate=accumulate),
        keras.optimizers.SGD(0.1, momentum=0.9),
        **kwargs,
    )
    toy.fit(model, batch_size=batch_size)
    return model


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_equals_one_large_batch(name):
    large = fitted(12, 1, name)
    small = fitted(4, 3, name)
    toy.assert_near(toy.weights(small), toy.weights(large), atol=1e-5)
    # Without the sums, which come in front of what both have.
    state = toy.arrays(
        v
        for v in small.strategy.variables
        if all(v is not s for s in small.strategy.accumulation.variables)
    )
    expected = toy.arrays(large.strategy.variables)
    if name != "pcgrad":  # Whose seed generator draws an order per step.
        toy.assert_near(state, expected, atol=1e-4, rtol=1e-4)
    assert int(small.optimizer.iterations) == int(large.optimizer.iterations)


def test_a_head_that_is_frozen_later():
    models = []
    for late in (True, False):
        model = toy.make_model()
        model.network.get_layer("left").trainable = late
        toy.compiled(model, strategy("mgda", accumulate=2))
        # The first of two batches: its sums are those of the other variables.
        toy.step(model)
        models.append(model)
    models[0].network.get_layer("left").trainable = False
    models[1].strategy.state_reset()
    for model in models:
        toy.fit(model, batch_size=12)
    toy.assert_near(toy.weights(models[0]), toy.weights(models[1]))


def test_regularizers_count_once_per_update():
    models = [
        fitted(12 // n, n, "mgda", toy.make_model(regularizer="l2"))
        for n in (1, 2)
    ]
    toy.assert_near(*map(toy.weights, models), atol=1e-5)


def test_batches_before_the_last_change_sums_only():
    model = toy.compiled(toy.make_model(), strategy("db_mtl", accumulate=2))
    toy.step(model)
    before = toy.snapshot(model)
    kept = model.strategy.accumulation.variables
    others = [
        v for v in model.strategy.variables if all(v is not s for s in kept)
    ]
    values = toy.arrays(others)
    toy.step(model)
    after = toy.snapshot(model)
    assert toy.distance(before["weights"], after["weights"]) > 1e-4
    for variable in kept:
        assert not np.any(toy.arrays([variable])[0])
    middle = toy.arrays(others)
    assert toy.distance(values, middle) > 0
    toy.step(model)
    toy.assert_same(toy.snapshot(model)["weights"], after["weights"])
    toy.assert_same(toy.arrays(others), middle)


def test_statistics_of_layers_move_with_each_batch():
    model = toy.make_model(batch_norm=True)
    toy.compiled(model, strategy("mgda", accumulate=2))
    statistics = model.get_layer("bn").non_trainable_variables
    before = toy.arrays(statistics)
    toy.step(model)
    assert toy.distance(before, toy.arrays(statistics)) > 1e-3


def test_a_task_has_the_mean_over_the_batches_it_was_in():
    x, y = toy.first_batch(8)
    y["left"] = y["left"].copy()
    y["left"][4:] = np.nan
    small = toy.compiled(toy.make_model(), strategy("mgda", accumulate=2))
    toy.step(small, x[:4], {k: v[:4] for k, v in y.items()})
    toy.step(small, x[4:], {k: v[4:] for k, v in y.items()})
    large = toy.compiled(toy.make_model(), strategy("mgda"))
    toy.step(large, x, y)
    toy.assert_near(toy.weights(small), toy.weights(large), atol=1e-5)


def test_a_batch_that_is_not_finite_is_left_out():
    model = toy.compiled(
        toy.make_model(),
        strategy("mgda", accumulate=2, on_nonfinite="skip"),
    )
    reference = toy.compiled(toy.make_model(), strategy("mgda", accumulate=2))
    x, y = toy.first_batch()
    toy.step(model)
    before = toy.snapshot(model)
    bad = x.copy()
    bad[0] = np.inf
    toy.step(model, bad, y)
    toy.assert_same(toy.snapshot(model)["weights"], before["weights"])
    toy.step(model, -x, y)
    toy.step(reference)
    toy.step(reference, -x, y)
    toy.assert_near(toy.weights(model), toy.weights(reference), atol=1e-6)


def test_ignoring_what_is_not_finite_still_waits_for_the_last_batch():
    model = toy.compiled(
        toy.make_model(),
        strategy("mgda", accumulate=2, on_nonfinite="ignore"),
    )
    before = toy.weights(model)
    toy.step(model)
    toy.assert_same(toy.weights(model), before)
    toy.step(model)
    assert toy.distance(toy.weights(model), before) > 1e-4


def test_an_overflow_lowers_the_loss_scale_at_once():
    keras.config.set_dtype_policy("mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=2.0**40
    )
    model = toy.make_model()
    toy.compiled(model, strategy("mgda", accumulate=2), optimizer)
    before = toy.weights(model)
    toy.step(model)
    assert float(ops.convert_to_numpy(optimizer.dynamic_scale)) == 2.0**39
    toy.assert_same(toy.weights(model), before)
    count = model.strategy.accumulation.count
    assert int(ops.convert_to_numpy(count)) == 0


def test_sums_are_saved(tmp_path):
    model = toy.compiled(toy.make_model(), strategy("db_mtl", accumulate=3))
    toy.step(model)
    toy.step(model)
    path = tmp_path / "model.keras"
    model.save(path)
    revived = keras.models.load_model(path)
    assert revived.strategy.accumulate == 3
    for each in (model, revived):
        toy.step(each)
    toy.assert_same(toy.weights(revived), toy.weights(model))


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"flatness": "task_sam"}, "TaskSAM perturbs"),
        ({"aggregator": aggregators.MoDo()}, "MoDo splits batches"),
        ({"balancer": "famo"}, "FAMO learns from the losses"),
        (
            {"aggregator": "mgda", "gradients": "representation"},
            "differ with each sample",
        ),
        ({"aggregator": "mgda", "memory": "low"}, "keeps no gradients"),
    ],
)
def test_refused(arguments, what):
    with pytest.raises(ValueError, match=f"must be 1 here: .*{what}"):
        keras_mtl.Strategy(**arguments, accumulate=2)


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
def test_bad_numbers(value):
    with pytest.raises(ValueError, match="`accumulate` must be an integer"):
        keras_mtl.Strategy(accumulate=value)
