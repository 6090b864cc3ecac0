"""Features of Keras's optimizers, under multi-task strategies."""

import keras
import pytest

import keras_mtl
from training import toy


def decaying():
    return keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)


OPTIMIZERS = {
    "accumulation": lambda: keras.optimizers.SGD(
        0.1, momentum=0.9, gradient_accumulation_steps=2
    ),
    "ema": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5),
    "clipping_and_decay": lambda: keras.optimizers.AdamW(
        0.01, weight_decay=0.1, clipnorm=0.05
    ),
    "schedule": lambda: keras.optimizers.SGD(decaying()),
    "fixed_scale": lambda: keras.optimizers.SGD(0.1, loss_scale_factor=16.0),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_act_on_the_update_as_in_keras(name):
    results = []
    for cls, strategy in (
        (keras.Model, None),
        (keras_mtl.MultiTaskModel, toy.every_pass()),
    ):
        model = toy.make_model(cls)
        toy.compiled(model, strategy, OPTIMIZERS[name]())
        toy.fit(model)
        results.append((toy.weights(model), model.optimizer))
    (expected, theirs), (weights, ours) = results
    toy.assert_near(weights, expected, atol=2e-6)
    assert len(ours.variables) == len(theirs.variables)
    toy.assert_near(
        toy.arrays(ours.variables), toy.arrays(theirs.variables), atol=2e-6
    )


def test_one_optimizer_for_the_trunk_and_one_for_the_heads():
    def run(cls, strategy):
        model = toy.make_model(cls)
        trunk = model.get_layer("trunk")
        optimizers = keras.optimizers.OptimizerMap(
            keras.optimizers.SGD(0.1, momentum=0.9)
        )
        optimizers["trunk/.*"] = keras.optimizers.SGD(0.0)
        optimizer = keras.optimizers.MultiOptimizer(optimizers)
        before = toy.arrays(trunk.variables)
        toy.compiled(model, strategy, optimizer)
        toy.fit(model)
        toy.assert_same(toy.arrays(trunk.variables), before)
        return toy.weights(model)

    expected = run(keras.Model, None)
    toy.assert_near(run(keras_mtl.MultiTaskModel, toy.every_pass()), expected)
    for name in ("db_mtl", "fs_mtl"):
        weights = run(keras_mtl.MultiTaskModel, toy.fresh_strategy(name))
        assert toy.distance(weights, expected) > 1e-3
