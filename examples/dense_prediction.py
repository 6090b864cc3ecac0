"""
Title: Segmentation, depth and normals from one network
Author: The keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: DB-MTL against equal weighting on three dense tasks.
Accelerator: GPU, if there is one
"""

"""
For every pixel of an image of a room: what is it, how far away is it, and
which way does its surface face? The three losses are a cross-entropy, an error
in metres and an angle. Their sum means nothing in particular, and whichever is
largest dominates the gradient.

DB-MTL ([Lin et al., 2023](https://arxiv.org/abs/2308.12029)) balances both: it
takes the logarithms of the losses, so that their units cancel, and brings the
tasks' gradients to one norm. We compare it with the plain sum.

## Setup

`KERAS_BACKEND` selects the backend, `KERAS_MTL_FAST=1` makes everything
smaller, to see whether it runs.
"""

import os

import keras
import numpy as np

import keras_mtl

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
SIDE = 32 if FAST else 64
IMAGES = 16 if FAST else 500
TEST_IMAGES = 8 if FAST else 100
EPOCHS = 2 if FAST else 12
BATCH_SIZE = 8 if FAST else 16
FILTERS = 4 if FAST else 12

"""
## Data

`rendered_rooms` makes its images while you wait. It is a stand-in for NYUv2
with the same three tasks; for the real thing, load `"nyuv2"`.

As with real sensors, about some pixels nothing is known. Their class is -1,
which the cross-entropy is told to ignore. In the other tasks, such labels are
made NaN: *missing*, they count in no loss, no gradient and no metric.
"""


def load(split):
    x, y = keras_mtl.datasets.rendered_rooms(
        split,
        num_train=IMAGES,
        num_test=TEST_IMAGES,
        image_size=(SIDE, SIDE),
    )
    unknown = y["segmentation"] == -1
    y["depth"][unknown] = np.nan
    y["normal"][unknown] = np.nan
    return x, y


train, test = load("train"), load("test")
CLASSES = int(train[1]["segmentation"].max()) + 1
unknown_share = np.mean(train[1]["segmentation"] == -1)
print(f"{CLASSES} classes, {unknown_share:.1%} of the pixels are unknown")

"""
## Model

A small U-Net is shared: it goes down to a quarter of the resolution and up
again. Each task has a head of two convolutions. For larger images and trained
backbones there is `keras_mtl.models.dense_prediction_model`.
"""


def convolution(x, filters, strides=1):
    x = keras.layers.Conv2D(filters, 3, strides=strides, padding="same")(x)
    x = keras.layers.GroupNormalization(4)(x)
    return keras.layers.ReLU()(x)


def make_trunk():
    image = keras.Input((SIDE, SIDE, 3))
    fine = convolution(image, FILTERS)
    middle = convolution(fine, 2 * FILTERS, strides=2)
    x = convolution(middle, 4 * FILTERS, strides=2)
    x = convolution(x, 4 * FILTERS)
    for skip in (middle, fine):
        x = keras.layers.UpSampling2D(interpolation="bilinear")(x)
        x = keras.layers.Concatenate()([x, skip])
        x = convolution(x, skip.shape[-1])
    return keras.Model(image, x, name="trunk")


def make_head(channels, name):
    return keras.Sequential(
        [
            keras.layers.Conv2D(
                2 * FILTERS, 3, padding="same", activation="relu"
            ),
            keras.layers.Conv2D(channels, 1),
        ],
        name=name,
    )


def angle(y_true, y_pred):
    """1 - cosine. True normals have length 1, predictions any length."""
    squared = keras.ops.sum(keras.ops.square(y_pred), axis=-1)
    dot = keras.ops.sum(y_true * y_pred, axis=-1)
    # The root has no finite slope at 0.
    return 1.0 - dot / keras.ops.sqrt(squared + 1e-6)


def make_model():
    keras.utils.set_random_seed(0)
    channels = {"segmentation": CLASSES, "depth": 1, "normal": 3}
    model = keras_mtl.MultiTaskModel(
        trunk=make_trunk(),
        heads={task: make_head(channels[task], task) for task in channels},
    )
    metrics = keras_mtl.metrics
    model.compile(
        keras.optimizers.Adam(2e-3),
        loss={
            "segmentation": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, ignore_class=-1
            ),
            "depth": "mae",
            "normal": angle,
        },
        metrics={
            "segmentation": [metrics.MeanIoU(CLASSES, ignore_class=-1)],
            "depth": [metrics.DepthErrors()],
            "normal": [metrics.NormalAngles()],
        },
    )
    return model


"""
## Training
"""

models, histories = {}, {}
for name in ("ew", "db_mtl"):
    models[name] = make_model()
    histories[name] = models[name].fit(
        *train,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=test,
        strategy=name,
        verbose=0,
    )

keras_mtl.visualization.plot_losses(histories)

"""
## Results

The field compares multi-task models by the mean relative gain over all
metrics: here of DB-MTL over equal weighting, in percent. First each metric's
gain counts for its task, then each task's.
"""

HIGHER_IS_BETTER = {
    "segmentation": {"segmentation_mean_iou": True},
    "depth": {"depth_absolute_error": False, "depth_relative_error": False},
    "normal": {"angle_mean": False, "angle_within_11.25": True},
}


def results_of(name):
    """The last epoch, by task and metric."""
    history = histories[name].history
    return {
        task: {metric: history[f"val_{metric}"][-1] for metric in metrics}
        for task, metrics in HIGHER_IS_BETTER.items()
    }


results = {name: results_of(name) for name in histories}
print(" " * 22 + "".join(f"{name:>9}" for name in results))
for task, metrics in HIGHER_IS_BETTER.items():
    for metric, is_higher_better in metrics.items():
        values = "".join(f"{results[it][task][metric]:9.3f}" for it in results)
        arrow = "higher" if is_higher_better else "lower"
        print(f"{metric:22}{values}   {arrow} is better")
gain = keras_mtl.metrics.delta_p(
    results["db_mtl"], results["ew"], HIGHER_IS_BETTER
)
print(f"gain of DB-MTL over equal weighting: {gain:+.1f} %")

"""
Test images, with what the model trained by DB-MTL sees in them. Blank pixels
of the labels are unknown.
"""

images, labels = test[0][:4], {task: y[:4] for task, y in test[1].items()}
predictions = models["db_mtl"].predict(images, verbose=0)
keras_mtl.visualization.plot_predictions(
    images,
    predictions,
    labels,
    {"segmentation": "classes", "depth": "depth", "normal": "normals"},
)
