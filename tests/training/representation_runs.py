"""Runs by the gradients of the representation, and by those of weights."""

import keras
import numpy as np
from keras import ops

import keras_mtl
from keras_mtl import aggregators
from training import toy
from training.representation_networks import TASKS

RATE = 0.1


@keras.saving.register_keras_serializable("tests")
class Weighted(aggregators.GramianAggregator):
    """Fixed weights; unlike `Constant` it says nothing about being linear."""

    def compute_weights(self, gramian, losses=None, mask=None):
        weights = ops.convert_to_tensor([1.5, 0.5, 2.0], dtype=gramian.dtype)
        weights = weights[: gramian.shape[0]]
        return weights if mask is None else weights * mask


def strategy(aggregator, gradients="representation", **kwargs):
    return keras_mtl.Strategy(
        aggregator=aggregator, gradients=gradients, **kwargs
    )


def inputs_of(name, num_samples):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(num_samples, 6)).astype("float32")
    if name.startswith("masked"):
        return rng.integers(0, 3, size=(num_samples, 5)).astype("int32")
    if name == "heads_that_read_inputs":
        # A rank less, and a type of number that Keras casts.
        return {"x": x[:, 0], "y": x[:, 4:].astype("float64"), "z": x[:, :4]}
    return x


def labels_of(num_samples):
    rng = np.random.default_rng(3)
    return {
        task: rng.normal(size=(num_samples, 2)).astype("float32")
        for task in TASKS
    }


def everything(model):
    """Weights, statistics, seeds: all that a step changes in the network."""
    return toy.arrays(model.network_variables(True)) + toy.arrays(
        model.network_variables(False)
    )


def both_ways(make, x, y, steps=2, aggregator=Weighted, **kwargs):
    """Trains from the same start by both kinds of gradients."""
    results, logs = [], []
    for gradients in ("parameters", "representation"):
        keras.utils.set_random_seed(3)
        model = make()
        losses = dict.fromkeys(model.output_names)
        losses.update(dict.fromkeys(TASKS, "mse"))
        settings = {key: value() for key, value in kwargs.items()}
        settings.setdefault("optimizer", keras.optimizers.SGD(RATE))
        toy.compiled(
            model, strategy(aggregator(), gradients), loss=losses, **settings
        )
        start = everything(model)
        keras.utils.set_random_seed(5)
        logs.append([toy.step(model, x, y) for _ in range(steps)])
        results.append(everything(model))
        assert toy.distance(start, results[-1]) > 1e-3
    return results, logs
