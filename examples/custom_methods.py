"""
Title: Your own aggregator and flatness regularizer
Author: The keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Two methods in a few lines each, tested and combined with others.
Accelerator: None
"""

"""
A strategy is a pipeline: a *balancer* weighs the losses, a *flatness*
regularizer has the gradients taken a second time nearby, an *aggregator*
merges the tasks' gradients into one update. Each can be replaced by code of
your own, in `keras.ops`, which then runs compiled on TensorFlow, JAX and
torch, is saved with the model, and combines with everything else.

## Setup

`KERAS_BACKEND` selects the backend, `KERAS_MTL_FAST=1` makes everything
smaller, to see whether it runs.
"""

import os

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import ops

import keras_mtl

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
IMAGES = 200 if FAST else 4000
EPOCHS = 2 if FAST else 10

"""
## An aggregator

Most methods are weighted sums of the task gradients, with weights that follow
from the inner products between them. Subclass `GramianAggregator` and return
one weight per task: the K x K matrix of inner products is computed for you,
without ever putting the gradients of all variables together.

This one scales every task's gradient to the length of the shortest, and takes
the mean. The squared lengths are on the diagonal.

`mask` is 1 for the tasks that are present, and 0 for those without a label in
the batch: their weight must be 0, and the others' as if they were not there.
Code has no `if` on tensors and divides by nothing that may be 0, so that it
can be compiled.
"""


@keras.saving.register_keras_serializable("examples")
class UnitMean(keras_mtl.aggregators.GramianAggregator):
    """Mean of the task gradients, each scaled to the length of the shortest."""

    def compute_weights(self, gramian, losses=None, mask=None):
        lengths = ops.sqrt(ops.maximum(ops.diagonal(gramian), 0.0))
        present = ops.ones_like(lengths) if mask is None else mask
        shortest = ops.min(ops.where(present > 0, lengths, ops.max(lengths)))
        # A task whose gradient is zero gets weight 0 rather than 0 / 0.
        safe = ops.where(lengths > 0, lengths, 1.0)
        weights = ops.where(lengths > 0, shortest / safe, 0.0)
        return present * weights / ops.maximum(ops.sum(present), 1.0)


"""
It can be tried on a matrix, a row for each task. Here are two gradients that
oppose each other, one of them much longer, and what several aggregators make
of them.
"""

GRADIENTS = np.array([[3.0, 0.4], [-0.5, 0.8]], dtype="float32")
METHODS = {
    "Mean": keras_mtl.aggregators.Mean(),
    "MGDA": keras_mtl.aggregators.MGDA(),
    "PCGrad": keras_mtl.aggregators.PCGrad(seed=0),
    "UnitMean": UnitMean(),
}


def draw_updates():
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    arrows = {"task 1": GRADIENTS[0], "task 2": GRADIENTS[1]}
    for name, method in METHODS.items():
        arrows[name] = ops.convert_to_numpy(method(GRADIENTS))
    for index, (name, (x, y)) in enumerate(arrows.items()):
        is_task = name.startswith("task")
        axes.annotate(
            "",
            xy=(x, y),
            xytext=(0, 0),
            arrowprops={
                "arrowstyle": "->",
                "color": "grey" if is_task else f"C{index - 2}",
                "linewidth": 1.5 if is_task else 2.5,
            },
        )
        axes.annotate(f" {name}", xy=(x, y), va="bottom")
    axes.set_xlim(-0.8, 3.8)
    axes.set_ylim(-0.2, 2.6)
    axes.set_aspect("equal")
    plt.show()


draw_updates()

"""
## A flatness regularizer

Sharpness-aware methods move the weights, for a second look at the gradients,
to where the loss is worst within a ball of radius rho: along the gradient.
Measured by the largest instead of the Euclidean change, the ball is a box, and
the worst point of it is a corner: `rho sign(g)`, the same step for all
weights.

Subclass a regularizer and implement `perturb`. It gets the values and one
task's gradients, of the shared variables and then of the task's own, and
returns what is added to each; `None` leaves a variable where it is. Which
passes are made, on what, and how results are merged stays as it was.
"""


@keras.saving.register_keras_serializable("examples")
class BoxSAM(keras_mtl.flatness.TaskSAM):
    """Moves each task's weights to the worst corner of a box around them."""

    def perturb(
        self, values, gradients, selected, num_shared, iterations, factor=None
    ):
        radius = self.radius("rho", iterations)
        if factor is not None:
            radius = factor * radius
        return [
            ops.cast(radius, gradient.dtype) * ops.sign(gradient)
            if is_selected
            else None
            for gradient, is_selected in zip(gradients, selected, strict=True)
        ]


"""
## Training with them

Two overlapping digits again, as in the tutorial. A part on its own is a
strategy, the other parts take their defaults; `Strategy` puts parts together.
With a box, rho is a change of each single weight: it must be much smaller
than the radius of a ball.
"""

(x_train, y_train), test = keras_mtl.datasets.multi_digits(
    IMAGES, num_test=IMAGES // 2
)


def make_model():
    keras.utils.set_random_seed(0)
    image = keras.Input((20, 20, 1))
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dense(128, activation="relu")(x)
    outputs = {
        task: keras.layers.Dense(10, activation="softmax", name=task)(x)
        for task in ("left", "right")
    }
    model = keras_mtl.MultiTaskModel(image, outputs)
    model.compile(
        "adam",
        loss=dict.fromkeys(outputs, "sparse_categorical_crossentropy"),
        metrics={task: ["accuracy"] for task in outputs},
    )
    return model


STRATEGIES = {
    "ew": "ew",
    "UnitMean": UnitMean(),
    "UnitMean + BoxSAM": keras_mtl.Strategy(
        aggregator=UnitMean(), flatness=BoxSAM(rho=0.0005)
    ),
}
histories = {}
for name, strategy in STRATEGIES.items():
    model = make_model()
    histories[name] = model.fit(
        x_train,
        y_train,
        batch_size=100,
        epochs=EPOCHS,
        validation_data=test,
        strategy=strategy,
        verbose=0,
    )
    logs = histories[name].history
    accuracies = [logs[f"val_{task}_accuracy"][-1] for task in model.tasks]
    print(
        f"{name:18} test accuracy: left {accuracies[0]:.3f}, "
        f"right {accuracies[1]:.3f}"
    )

keras_mtl.visualization.plot_losses(histories)

"""
## Saving

The strategy is part of the saved model, state included. Classes of your own
need `register_keras_serializable`, as above.
"""

model.save("custom_methods.keras")
loaded = keras.models.load_model("custom_methods.keras")
print(loaded.strategy.aggregator, loaded.strategy.flatness)

"""
## Testing a method

The tests of this library hold every aggregator to these; yours should pass
them, too. Rows of zeros and absent tasks are where most formulas break.
"""

aggregator = UnitMean()
zero_row = aggregator([[3.0, 4.0], [0.0, 0.0]])
np.testing.assert_array_equal(ops.convert_to_numpy(zero_row), [0.0, 0.0])
rows = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
np.testing.assert_allclose(
    ops.convert_to_numpy(aggregator(rows, mask=[1, 0, 1])),
    ops.convert_to_numpy(aggregator(rows[[0, 2]])),
    rtol=1e-5,
)
np.testing.assert_allclose(
    ops.convert_to_numpy(aggregator(rows)),
    ops.convert_to_numpy(aggregator(rows[::-1].copy())),
    rtol=1e-5,
)
print("finite for a zero row; blind to absent tasks and to their order")
