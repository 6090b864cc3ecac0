"""Our methods, through a `.keras` file of a small model."""

import tempfile
from pathlib import Path

import keras
import numpy as np

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import balancers

TASKS = ("a", "b", "c")
STEPS = 2

#: By name, with settings that make the state matter in the next two steps.
METHODS = {
    "CRMOGM(UPGrad)": lambda: aggregators.CRMOGM(aggregators.UPGrad()),
    "DBMTL": lambda: aggregators.DBMTL(),
    "ExcessMTL": lambda: aggregators.ExcessMTL(),
    "GO4Align": lambda: aggregators.GO4Align(),
    "GradDrop": lambda: aggregators.GradDrop(seed=0),
    "GradNorm": lambda: aggregators.GradNorm(),
    "GradVac": lambda: aggregators.GradVac(seed=0),
    "MoCo": lambda: aggregators.MoCo(),
    "MoDo": lambda: aggregators.MoDo(),
    "NashMTL(update_every=3)": lambda: aggregators.NashMTL(update_every=3),
    "PCD": lambda: aggregators.PCD(0.5),
    "PCGrad": lambda: aggregators.PCGrad(seed=0),
    "Random": lambda: aggregators.Random(seed=0),
    "SDMGrad(learning_rate=0.1)": lambda: aggregators.SDMGrad(
        learning_rate=0.1
    ),
    "DWA": lambda: balancers.DWA(),
    "FAMO": lambda: balancers.FAMO(),
    "IMTLL": lambda: balancers.IMTLL(),
    "RLW": lambda: balancers.RLW(seed=0),
    "STCH(warmup_epochs=2)": lambda: balancers.STCH(0.1, warmup_epochs=2),
    "SoftAdapt": lambda: balancers.SoftAdapt(),
    "UW": lambda: balancers.UW(),
}


def make_model(strategy):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = keras.layers.Dense(8, activation="tanh")(inputs)
    outputs = {task: keras.layers.Dense(1, name=task)(x) for task in TASKS}
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    model.compile(
        keras.optimizers.SGD(0.1),
        dict.fromkeys(TASKS, "mse"),
        strategy=strategy,
    )
    return model


def train(model, part):
    """Trains for two epochs of two steps: some methods count epochs."""
    generator = np.random.default_rng(part)
    x = generator.normal(size=(STEPS * 12, 6)).astype("float32")
    # Tasks that conflict, and improve at rates of their own.
    y = {"a": x[:, :1], "b": 1 - 2 * x[:, :1], "c": 3 * x[:, 1:2]}
    model.fit(x, y, batch_size=12, epochs=2, shuffle=False, verbose=0)


def weights(model):
    return [
        keras.ops.convert_to_numpy(variable.value).copy()
        for variable in model.trainable_variables
    ]


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def check(make):
    """Returns whether training goes on the same, and whether state matters.

    The model is trained, saved and trained further. One that is loaded from
    the file is trained the same, and another after its state was reset.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model = make_model(make())
        train(model, 0)
        model.save(path)
        train(model, 1)
        loaded = keras.models.load_model(path)
        train(loaded, 1)
        forgetful = keras.models.load_model(path)
        forgetful.strategy.aggregator.state_reset()
        if forgetful.strategy.balancer is not None:
            forgetful.strategy.balancer.state_reset()
        train(forgetful, 1)
    expected = weights(model)
    return same(weights(loaded), expected), not same(
        weights(forgetful), expected
    )
