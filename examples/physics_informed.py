"""
Title: Poisson's equation, and the balance of its losses
Author: The keras_mtl authors
Date created: 2026/12/01
Last modified: 2026/12/01
Description: A physics-informed network, whose losses are tasks of one output.
Accelerator: None
"""

"""
A physics-informed network learns a function from the equation that it solves.
Its losses, of the equation, of the boundary and of what was measured, are all
of *one* output, each on points of its own, and their gradients conflict: one
is of second derivatives, and far steeper than the others.

Here is Poisson's equation on the unit square,

    u_xx + u_yy = f,    u = 0 on the boundary,

whose solution is known, and what strategies make of it in the same number of
steps. On two cores of a CPU, with JAX, ConFIG took a minute and came to a
relative error of 0.002; UPGrad came to 0.06, equal weights to 0.08.

## Setup

`KERAS_BACKEND` selects the backend, `KERAS_MTL_FAST=1` makes everything
smaller, to see whether it runs.
"""

import os
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import ops

import keras_mtl

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
EPOCHS = 1 if FAST else 30
STEPS = 2 if FAST else 150
STRATEGIES = ["ew", "config", "upgrad", "grad_norm", "fs_mtl"]
if FAST:
    STRATEGIES = ["ew", "config"]

"""
## Points

Points inside are drawn anew in each epoch, and so are those on the boundary.
At five places the solution was measured.
"""


def solution(points):
    return np.prod(np.sin(np.pi * points), axis=-1, keepdims=True)


def inside(generator):
    return generator.uniform(size=(STEPS * 128, 2))


def boundary(generator):
    points = generator.uniform(size=(STEPS * 32, 2))
    side = generator.integers(4, size=len(points))
    points[np.arange(len(points)), side // 2] = side % 2
    return points, np.zeros((len(points), 1))


def make_dataset():
    sensors = np.random.default_rng(1).uniform(size=(5, 2))
    return keras_mtl.datasets.MultiTaskDataset(
        {
            "inside": keras_mtl.datasets.Resampled(inside),
            "boundary": keras_mtl.datasets.Resampled(boundary),
            "sensors": (sensors, solution(sensors)),
        },
        batch_size={"inside": 128, "boundary": 32, "sensors": 5},
    )


"""
## Three tasks of one output

The loss of the equation takes no labels. It asks for the `inputs`, which are
its points, and for the `model`, which `keras_mtl.derivative` differentiates.
The others are Keras's, with labels by the name of their points.
"""


def residual(inputs, model):
    laplacian = ops.sum(keras_mtl.derivative(model, inputs, order=2), axis=-1)
    waves = ops.prod(ops.sin(np.pi * inputs), axis=-1)
    return ops.square(laplacian + 2 * np.pi**2 * waves)


def make_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    x = inputs
    for _ in range(3):
        x = keras.layers.Dense(32, activation="tanh")(x)
    return keras_mtl.MultiTaskModel(inputs, {"u": keras.layers.Dense(1)(x)})


def compiled(strategy):
    model = make_model()
    task = keras_mtl.losses.Task
    total = EPOCHS * STEPS
    model.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(3e-3, total)
        ),
        loss={
            "equation": task(residual, data="inside"),
            "boundary": task("mse", data="boundary"),
            "sensors": task("mse", data="sensors"),
        },
        strategy=strategy,
    )
    return model


"""
## The strategies compared

The error is relative, in the norm of L2, against the solution on a grid.
"""

SIDE = np.linspace(0, 1, 51)
GRID = np.stack(np.meshgrid(SIDE, SIDE), axis=-1).reshape(-1, 2)
EXACT = solution(GRID)


def relative_error(model):
    gap = model.predict(GRID, batch_size=len(GRID), verbose=0)["u"] - EXACT
    return np.linalg.norm(gap) / np.linalg.norm(EXACT), np.abs(gap)


errors, maps = {}, {}
for name in STRATEGIES:
    model = compiled(name)
    start = time.perf_counter()
    model.fit(make_dataset(), epochs=EPOCHS, verbose=0)
    seconds = time.perf_counter() - start
    errors[name], maps[name] = relative_error(model)
    print(f"{name:10} error {errors[name]:.1e}  {seconds:.0f} s")

"""
Methods that take the logarithm of losses, or give all tasks gradients of one
norm, such as DB-MTL and FAMO, are out of place here: the losses of points that
are fitted fall to 0, and what is left of their gradients is blown up.
"""

figure, axes = plt.subplots()
axes.barh(list(errors), list(errors.values()))
axes.set_xscale("log")
axes.set_xlabel("relative error")
plt.show()

"""
Where they err:
"""

figure, panels = plt.subplots(1, len(maps), squeeze=False, figsize=(12, 3))
for axes, (name, gap) in zip(panels[0], maps.items(), strict=True):
    axes.imshow(gap.reshape(51, 51), origin="lower", extent=(0, 1, 0, 1))
    axes.set_title(name)
plt.show()
