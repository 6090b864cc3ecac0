"""
Title: Clicks and purchases, with labels that are missing
Author: The keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Shared bottom, MMoE and PLE on tabular data.
Accelerator: None
"""

"""
A shop shows an article to a visitor. Will the visitor click on it, and having
clicked, will she buy it, and how long will she stay on the page? The last two
can be seen only where there was a click: for four of five rows, their labels
are missing.

The three tasks have much in common, and also what sets them apart: a loud
picture brings clicks, and no purchases. A network that shares all of its
layers has to serve both. In
[MMoE](https://doi.org/10.1145/3219819.3220007) each task mixes the same
experts in its own way; in
[PLE](https://doi.org/10.1145/3383313.3412236) it also has experts of its own.

## Setup

`KERAS_BACKEND` selects the backend, `KERAS_MTL_FAST=1` makes everything
smaller, to see whether it runs.
"""

import os

import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_mtl

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
ROWS = 400 if FAST else 30_000
EPOCHS = 2 if FAST else 15
BATCH_SIZE = 100 if FAST else 500
UNITS = 4 if FAST else 32

TASKS = ["click", "buy", "minutes"]

"""
## Data

They are made up, so that we know what happened and what would have happened.
Visitors and articles have a hidden taste; the nearer, the more likely is
everything. Besides, clicks depend on how loud the picture is, and purchases on
the price and on how *little* loud the picture was: those who are lured do not
buy. What the model sees are noisy traces of the tastes, loudness and price.

Labels that nobody could see are NaN. Nothing else has to be done: losses,
gradients and metrics leave them out, and a task that has no label at all in a
batch takes no part in that step.
"""


def sigmoid(logits):
    return 1.0 / (1.0 + np.exp(-logits))


def make_data(rows, seed):
    """Returns inputs, labels as seen, and labels as they would have been."""
    generator = np.random.default_rng(seed)
    visitor, article = generator.normal(size=(2, rows, 6))
    loudness, price = generator.normal(size=(2, rows))
    affinity = np.tanh((visitor * article).sum(axis=1) / 2.0)
    click = sigmoid(1.5 * affinity + 1.2 * loudness - 2.0)
    buy = sigmoid(2.5 * affinity - 1.5 * loudness - 1.5 * price)
    minutes = np.exp(0.8 * affinity - 0.4 * loudness)
    truth = {
        "click": generator.random(rows) < click,
        "buy": generator.random(rows) < buy,
        "minutes": minutes * generator.gamma(4.0, 0.25, rows),
    }
    truth = {
        task: values.astype("float32")[:, None]
        for task, values in truth.items()
    }
    seen = {
        "click": truth["click"],
        "buy": np.where(truth["click"], truth["buy"], np.nan),
        "minutes": np.where(truth["click"], truth["minutes"], np.nan),
    }
    traces = np.concatenate([visitor, article], axis=1)
    traces = traces + generator.normal(0.0, 0.2, traces.shape)
    x = np.concatenate([traces, loudness[:, None], price[:, None]], axis=1)
    return x.astype("float32"), seen, truth


x_train, y_train, _ = make_data(ROWS, seed=0)
x_test, _, y_test = make_data(ROWS // 3, seed=1)
for task in TASKS:
    share = np.mean(~np.isnan(y_train[task]))
    print(f"{task:8} labels for {share:.0%} of the training rows")

"""
Models are tested on all rows, with the labels that they would have had: that
is what a shop wants to know of a visitor who has not clicked yet, and what
only made-up data can tell. Training on clicked rows alone is biased towards
loud pictures; weights against that bias would be sample weights.

## Models

All three have about the same number of weights.
"""


def tower():
    return keras.Sequential(
        [
            keras.layers.Dense(2 * UNITS, activation="relu"),
            keras.layers.Dense(UNITS, activation="relu"),
        ]
    )


def shared_bottom(inputs):
    x = keras.layers.Dense(5 * UNITS, activation="relu")(inputs)
    x = keras.layers.Dense(2 * UNITS, activation="relu")(x)
    return dict.fromkeys(TASKS, x)


def mmoe(inputs):
    layer = keras_mtl.layers.MMoE(
        TASKS, expert=tower(), num_experts=4, name="mmoe"
    )
    return layer(inputs)


def ple(inputs):
    layer = keras_mtl.layers.PLE(
        TASKS,
        expert=keras.layers.Dense(5 * UNITS // 4, activation="relu"),
        num_levels=2,
        num_task_experts=1,
        num_shared_experts=2,
    )
    return layer(inputs)


def make_model(bottom):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((x_train.shape[1],))
    features = bottom(inputs)
    activations = {"click": "sigmoid", "buy": "sigmoid", "minutes": "softplus"}
    outputs = {
        task: keras.layers.Dense(1, activation=activations[task], name=task)(
            features[task]
        )
        for task in TASKS
    }
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(2e-3),
        loss={
            "click": "binary_crossentropy",
            "buy": "binary_crossentropy",
            "minutes": "mse",
        },
        metrics={
            "click": [keras.metrics.AUC(name="auc")],
            "buy": [keras.metrics.AUC(name="auc")],
            "minutes": [keras.metrics.RootMeanSquaredError(name="rmse")],
        },
        strategy="db_mtl",
    )
    return model


"""
## Training

`db_mtl` balances two cross-entropies with a squared error in minutes.
"""

BOTTOMS = {"shared bottom": shared_bottom, "MMoE": mmoe, "PLE": ple}
models, histories = {}, {}
for name, bottom in BOTTOMS.items():
    models[name] = make_model(bottom)
    histories[name] = models[name].fit(
        x_train,
        y_train,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=(x_test, y_test),
        verbose=0,
    )

keras_mtl.visualization.plot_losses(histories)

"""
Dashed lines are all rows of the test data, solid ones the training rows with a
label. For `buy` and `minutes` these are different populations: the gap is the
bias of clicks, more than overfitting.

## Results
"""

METRICS = {"click": "auc", "buy": "auc", "minutes": "rmse"}
print(f"{'':14}{'weights':>9}{'click AUC':>11}{'buy AUC':>9}{'RMSE':>8}")
for name, history in histories.items():
    values = [
        history.history[f"val_{task}_{metric}"][-1]
        for task, metric in METRICS.items()
    ]
    print(
        f"{name:14}{models[name].count_params():9}"
        f"{values[0]:11.3f}{values[1]:9.3f}{values[2]:8.3f}"
    )

"""
With 30,000 rows and three tasks, expect differences in the third digit, and
the plain shared network among the best: one affinity drives all of the tasks,
so there is more to share than to keep apart. Experts are worth trying where a
task is worse together than alone; try other processes in `make_data`.

### Who uses which expert?

The mean weights of the gates of MMoE on the test data. Rows that differ are
tasks that keep to different experts; rows that are alike, tasks that share.
"""

layer = models["MMoE"].get_layer("mmoe")
weights = np.stack(
    [
        keras.ops.convert_to_numpy(layer.gates[task](x_test)).mean(axis=0)
        for task in TASKS
    ]
)
figure, axes = plt.subplots(figsize=(5, 2.4), layout="constrained")
image = axes.imshow(weights, cmap="Blues", vmin=0.0, vmax=weights.max())
axes.set_yticks(range(len(TASKS)), TASKS)
axes.set_xticks(
    range(weights.shape[1]),
    [f"expert {i}" for i in range(weights.shape[1])],
)
for (row, column), weight in np.ndenumerate(weights):
    axes.text(
        column,
        row,
        f"{weight:.2f}",
        ha="center",
        va="center",
        color="white" if weight > 0.6 * weights.max() else "black",
    )
plt.show()
