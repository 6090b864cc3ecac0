"""Runs in which several replicas have a part of each batch."""

import contextlib

import keras
import numpy as np

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import balancers
from keras_mtl import flatness
from training import toy

BATCH = 16

#: One of each kind of method.
STRATEGIES = {
    "ew": lambda: "ew",
    "uw": lambda: balancers.UW(),
    "famo": lambda: balancers.FAMO(),
    "mgda": lambda: "mgda",
    "low_memory": lambda: keras_mtl.Strategy(aggregator="mgda", memory="low"),
    "representation": lambda: keras_mtl.Strategy(
        aggregator="mgda", gradients="representation"
    ),
    "pcgrad": lambda: aggregators.PCGrad(seed=0),
    "db_mtl": lambda: "db_mtl",
    "fs_mtl": lambda: toy.fs_mtl(rho=0.1),
    "accumulated": lambda: keras_mtl.Strategy(aggregator="mgda", accumulate=3),
    "last_shared": lambda: keras_mtl.Strategy(
        aggregator="mgda", weights_from="last_shared"
    ),
    "constant": lambda: aggregators.Constant([1.0, 0.5]),
    "moco": lambda: "moco",
    "upgrad": lambda: "upgrad",
    "gradvac": lambda: "gradvac",
    "global_sam": lambda: keras_mtl.Strategy(
        flatness=flatness.GlobalSAM(rho=0.1), aggregator="mgda"
    ),
    "samo": lambda: "samo",
    "every_other": lambda: keras_mtl.Strategy(
        aggregator="mgda", update_every=2
    ),
    "momentum_sam": lambda: flatness.MomentumSAM(rho=0.1),
}

#: Those that branch, which replicas of TensorFlow cannot.
BRANCHING = ("every_other",)
if keras.backend.backend() == "tensorflow":
    STRATEGIES = {k: v for k, v in STRATEGIES.items() if k not in BRANCHING}

#: Those that are run where each has to be compiled.
FIRST = tuple(STRATEGIES)[:11]

#: What torch sends is counted for these. Functions of the numbers K of tasks
#: and P of shared parameters say how much it is: for the shared parameters and
#: the Gramian, for losses after those of the first pass, and how often for the
#: tasks' own parameters.
COUNTED = {
    "ew": lambda k, p: (p, 0, 1),
    "famo": lambda k, p: (p, k, 1),
    "mgda": lambda k, p: (k * p, 0, 1),
    "pcgrad": lambda k, p: (k * p, 0, 1),
    "low_memory": lambda k, p: ((k + 1) * p + k * k, 0, 1),
    "representation": lambda k, p: (p + k * k, 0, 1),
    "last_shared": lambda k, p: ((k + 1) * p, 0, 1),
    "global_sam": lambda k, p: ((k + 1) * p, k, 2),
    "samo": lambda k, p: ((k + 1) * p, 3 * k, 2),
    "fs_mtl": lambda k, p: (2 * k * p, k, 2),
}

#: Replicas drop other units than one device does.
WITH_DROPOUT = {
    "new_masks": lambda: keras_mtl.strategies.FSMTL(
        "mgda", rho=0.1, random_numbers="new"
    ),
}

#: Where replicas train as plain Keras does.
WITHOUT_STRATEGY = {"keras": lambda: None}

#: Of which losses are compared, too.
EVALUATED = ("ew", "keras")


def part_of(data, rank, count):
    """Every replica's share of each batch, one batch after the other."""
    size = BATCH // count
    starts = range(0, len(data), BATCH)
    return np.concatenate(
        [data[start + rank * size :][:size] for start in starts]
    )


def fitted(name, rank=0, count=1, seed=3, scope=None, **kwargs):
    """Trains the toy model by one of `STRATEGIES` on a part of the data.

    The name may be one of `WITH_DROPOUT` or `WITHOUT_STRATEGY`, or that of a
    file with a model, which is made in the `scope` and trained outside of it.
    What else is given goes to `fit`.
    """
    x, y = toy.data(3 * BATCH)
    if name not in WITHOUT_STRATEGY:
        # Some labels are missing: those of some replicas in the first batch.
        y["left"][: BATCH * 3 // 4] = np.nan
    x = part_of(x, rank, count)
    y = {task: part_of(labels, rank, count) for task, labels in y.items()}
    strategies = {**STRATEGIES, **WITH_DROPOUT, **WITHOUT_STRATEGY}
    with contextlib.nullcontext() if scope is None else scope:
        if name in strategies:
            dropout = 0.5 if name in WITH_DROPOUT else 0.0
            model = toy.compiled(
                toy.make_model(seed=seed, regularizer="l2", dropout=dropout),
                strategies[name](),
                keras.optimizers.SGD(0.1, momentum=0.9),
            )
        else:
            model = keras.models.load_model(name)
    toy.fit(model, x, y, batch_size=BATCH // count, **kwargs)
    return model


def after_a_batch(model, rank=0, count=1):
    """Makes a step with a part of a batch; returns the loss and the weights."""
    x, y = toy.data(BATCH, seed=1)
    y = {task: part_of(labels, rank, count) for task, labels in y.items()}
    logs = toy.step(model, part_of(x, rank, count), y)
    return [logs["loss"], *toy.weights(model)]


def model_of_three_tasks(name):
    """A model that one of `STRATEGIES` trains, without penalties."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(8, activation="tanh")(inputs)
    model = keras_mtl.MultiTaskModel(
        inputs, {task: keras.layers.Dense(1)(features) for task in "abc"}
    )
    return toy.compiled(model, STRATEGIES[name](), loss="mse")


def step_of_three_tasks(model, rank, count):
    """Trains such a model on a part of a batch."""
    x, y = toy.data(BATCH)
    labels = part_of(y["left"], rank, count)
    toy.step(model, part_of(x, rank, count), dict.fromkeys("abc", labels))


def losses(model):
    """What is found by evaluation with all replicas."""
    x, y = toy.data(3 * BATCH, seed=1)
    return model.evaluate(x, y, batch_size=BATCH, verbose=0)


def variables(model):
    """All that is saved."""
    strategy = model.strategy
    return [
        *model.weights,
        *([] if strategy is None else strategy.variables),
        *model.optimizer.variables,
    ]
