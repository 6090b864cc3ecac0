"""Half precision, and what happens when it overflows."""

import keras
import pytest
from keras import ops

from keras_mtl import aggregators
from training import toy


@pytest.mark.parametrize(
    "name, policy",
    [
        ("fs_mtl", "mixed_bfloat16"),
        ("fs_mtl", "mixed_float16"),
        ("db_mtl", "mixed_float16"),
    ],
)
def test_mixed_precision_is_near_full_precision(name, policy):
    full = toy.compiled(toy.make_model(), toy.fresh_strategy(name))
    before = toy.weights(full)
    keras.config.set_dtype_policy(policy)
    mixed = toy.compiled(
        toy.make_model(),
        toy.fresh_strategy(name),
        # A scale with which nothing overflows.
        keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(0.1), initial_scale=64.0
        )
        if policy == "mixed_float16"
        else None,
    )
    toy.step(full)
    toy.step(mixed)
    assert toy.distance(before, toy.weights(full)) > 0.03
    toy.assert_near(toy.weights(mixed), toy.weights(full), atol=0.01)
    for variable in mixed.strategy.variables:
        assert variable.dtype == "float32" or "int" in variable.dtype


@pytest.mark.parametrize("name", toy.STRATEGIES)
def test_an_overflow_is_skipped_and_halves_the_scale(name):
    keras.config.set_dtype_policy("mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1, momentum=0.9), initial_scale=2.0**40
    )
    model = toy.make_model(batch_norm=True)
    toy.compiled(model, toy.fresh_strategy(name), optimizer)
    weights = toy.weights(model)
    toy.step(model)  # Raises nothing: overflow is no failure here.
    strategy = toy.arrays(model.strategy.variables)
    assert float(ops.convert_to_numpy(optimizer.dynamic_scale)) == 2.0**39
    toy.assert_same(toy.weights(model), weights)
    assert int(ops.convert_to_numpy(model.strategy.iterations)) == 0
    fresh = toy.fresh_strategy(name)
    reference = toy.compiled(toy.make_model(batch_norm=True), fresh)
    toy.assert_same(strategy, toy.arrays(reference.strategy.variables))
    optimizer.dynamic_scale.assign(8.0)
    toy.step(model)
    assert toy.distance(weights, toy.weights(model)) > 0.01
    assert int(ops.convert_to_numpy(model.strategy.iterations)) == 1


@pytest.mark.skipif(toy.BACKEND != "torch", reason="about torch.autocast")
@pytest.mark.parametrize("name", ["ew", "mgda", "famo", "fs_mtl"])
def test_autocast_is_for_the_model_alone(name):
    import torch

    full = toy.trained(toy.fresh_strategy(name))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = toy.trained(toy.fresh_strategy(name))
        logs = toy.step(toy.compiled(toy.make_model(), "ew"))
        plain = toy.step(toy.compiled(toy.make_model(keras.Model)))
    assert 0 < toy.distance(toy.weights(half), toy.weights(full)) < 0.02
    # The forward pass is the one of plain Keras.
    assert logs["loss"] == plain["loss"]


@pytest.mark.skipif(toy.BACKEND != "torch", reason="about torch.autocast")
@pytest.mark.parametrize("name", ["upgrad", "moco"])
def test_autocast_does_not_round_inner_products(name):
    import torch

    def update():
        return aggregators.get(name)(rows, losses=torch.ones(6))

    rows = torch.randn(6, 1000, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = update()
    assert torch.equal(rounded, update())
