"""
Title: Three domains, one of them with few labels
Author: The keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Tasks with inputs of their own, on one backbone.
Accelerator: GPU, if there is one
"""

"""
In Office-31 or Office-Home the tasks are *domains*: the same classes, seen by
a camera, in a shop, as a drawing. Each task has images of its own, not further
labels for the same ones. A domain that has few labels is to gain from those
that have many.

Here are three domains of digits, made of the scans that come with
scikit-learn, and one backbone for all of them. For the real data sets, load
`"office31"` or `"office_home"` instead: everything else stays as it is.

## Setup

`KERAS_BACKEND` selects the backend, `KERAS_MTL_FAST=1` makes everything
smaller, to see whether it runs.
"""

import importlib.util
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import keras_mtl

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
EPOCHS = 2 if FAST else 40
BATCH_SIZE = 8 if FAST else 32

"""
## Data

*Scans* are as they are, *photos* have coloured digits on a coloured
background, *sketches* are dark lines on white paper. There are labels for 40
sketches only. Each domain has scans of its own, and a third of them is for
testing.
"""

SIDE = 32
TRAIN_SIZES = {"scan": 400, "photo": 400, "sketch": 40}
TEST_SIZE = 199
if FAST:
    TRAIN_SIZES, TEST_SIZE = {"scan": 16, "photo": 16, "sketch": 8}, 16


def enlarged(scans):
    """From 8 x 8 to 32 x 32 pixels, smooth."""
    images = keras.ops.image.resize(
        scans[..., None], (SIDE, SIDE), interpolation="bilinear"
    )
    return keras.ops.convert_to_numpy(images)


def as_scan(ink, generator):
    return np.repeat(ink, 3, axis=-1)


def as_photo(ink, generator):
    paper, pen = generator.uniform(0.0, 1.0, (2, len(ink), 1, 1, 3))
    ramp = np.linspace(-0.2, 0.2, SIDE).reshape(1, 1, SIDE, 1)
    return np.clip(paper + ramp, 0, 1) * (1 - ink) + pen * ink


def as_sketch(ink, generator):
    # Lines are where the brightness changes.
    slopes = np.abs(np.diff(ink, axis=1, append=0)) + np.abs(
        np.diff(ink, axis=2, append=0)
    )
    noise = generator.normal(0.0, 0.05, ink.shape)
    return np.repeat(np.clip(1.0 - 3 * slopes + noise, 0, 1), 3, axis=-1)


def make_domains():
    """Returns dicts from domains to `(x, y)`, for training and testing."""
    digits = load_digits()
    generator = np.random.default_rng(0)
    order = generator.permutation(len(digits.images)).reshape(3, -1)
    train, test = {}, {}
    makers = {"scan": as_scan, "photo": as_photo, "sketch": as_sketch}
    for rows, (domain, make) in zip(order, makers.items(), strict=True):
        ink = enlarged(digits.images[rows].astype("float32") / 16.0)
        x = make(ink, generator).astype("float32")
        y = digits.target[rows].astype("int32")
        size = TRAIN_SIZES[domain]
        train[domain] = x[:size], y[:size]
        test[domain] = x[-TEST_SIZE:], y[-TEST_SIZE:]
    return train, test


train, test = make_domains()
figure, panels = plt.subplots(3, 8, figsize=(8, 3.3), layout="constrained")
for row, (domain, (x, _)) in zip(panels, train.items(), strict=True):
    row[0].set_title(f"{domain}: {len(x)} labels", fontsize=9, loc="left")
    for panel, image in zip(row, x, strict=False):
        panel.imshow(image)
        panel.axis("off")
plt.show()

"""
## Backbone

KerasHub has backbones for many kinds of inputs, with trained weights. If it is
installed, a small ResNet of it is used; if not, the MobileNet of
`keras.applications`, which comes with Keras. Set `KERAS_MTL_BACKBONE` to
`keras_hub` or `keras_applications` to choose. Both start from random weights
here, to do without a download; for photographs, start from trained ones:
`keras_hub.models.ResNetBackbone.from_preset("resnet_18_imagenet")`, or
`weights="imagenet"`.
"""

HAS_KERAS_HUB = importlib.util.find_spec("keras_hub") is not None
BACKBONE = os.environ.get(
    "KERAS_MTL_BACKBONE",
    "keras_hub" if HAS_KERAS_HUB else "keras_applications",
)
if not HAS_KERAS_HUB:
    print('KerasHub is not installed: pip install "keras-mtl[vision]"')
print("backbone:", BACKBONE)


def make_backbone():
    if BACKBONE == "keras_applications":
        network = keras.applications.MobileNet(
            input_shape=(SIDE, SIDE, 3),
            alpha=0.25,
            include_top=False,
            weights=None,
        )
        # Images this small have nothing left for the last layers.
        return keras.Model(
            network.input, network.get_layer("conv_pw_5_relu").output
        )
    import keras_hub

    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 128],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(SIDE, SIDE, 3),
    )


"""
## Model

With `task_inputs=True`, the trunk is called with each task's own images, and
`x` is a dict by task. Brightness and contrast, which differ most between the
domains, are taken off each image first.
"""


@keras.saving.register_keras_serializable("examples")
class Standardize(keras.layers.Layer):
    """Mean 0 and deviation 1, for each image by itself."""

    def call(self, images):
        axes = (1, 2, 3)
        mean = keras.ops.mean(images, axis=axes, keepdims=True)
        deviation = keras.ops.std(images, axis=axes, keepdims=True)
        return (images - mean) / (deviation + 1e-3)


def make_trunk():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            Standardize(),
            make_backbone(),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


def make_head(domain):
    return keras.layers.Dense(10, activation="softmax", name=domain)


LOSS = "sparse_categorical_crossentropy"

"""
## Training one domain

Sketches on their own first, by an ordinary Keras model. They are repeated so
that it makes as many steps as the model of all three.
"""


def fit_alone(domain):
    model = keras.Sequential([make_trunk(), make_head(domain)])
    model.compile(keras.optimizers.Adam(3e-3), LOSS, metrics=["accuracy"])
    x, y = train[domain]
    rows = np.resize(np.arange(len(x)), max(TRAIN_SIZES.values()))
    history = model.fit(
        x[rows],
        y[rows],
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=test[domain],
        verbose=0,
    )
    return {f"val_{domain}_accuracy": history.history["val_accuracy"]}


runs = {"sketches alone": fit_alone("sketch")}

"""
## Training all domains

`MultiTaskDataset` zips one data set per task, of any lengths: an epoch is one
pass through the largest, and the others begin anew where they end. It is a
`keras.utils.PyDataset`, which works on every backend.

Once by the sum of the losses, once with gradients from which conflicts are
removed.
"""


def fit_together(strategy):
    model = keras_mtl.MultiTaskModel(
        trunk=make_trunk(),
        heads={domain: make_head(domain) for domain in train},
        task_inputs=True,
    )
    model.compile(
        keras.optimizers.Adam(3e-3),
        loss=dict.fromkeys(train, LOSS),
        metrics={domain: ["accuracy"] for domain in train},
    )
    dataset = keras_mtl.datasets.MultiTaskDataset(
        train, batch_size=BATCH_SIZE, drop_remainder=True
    )
    return model.fit(
        dataset,
        epochs=EPOCHS,
        validation_data=(
            {domain: x for domain, (x, _) in test.items()},
            {domain: y for domain, (_, y) in test.items()},
        ),
        strategy=strategy,
        verbose=0,
    ).history


runs["together, ew"] = fit_together("ew")
runs["together, pcgrad"] = fit_together("pcgrad")

"""
## Results

Accuracy on test images of the domain with few labels, over the epochs.
"""

figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name, history in runs.items():
    accuracies = history["val_sketch_accuracy"]
    axes.plot(range(1, len(accuracies) + 1), accuracies, label=name)
axes.set_xlabel("epoch")
axes.set_ylabel("accuracy on test sketches")
axes.legend()
plt.show()

"""
The last epoch, all domains:
"""

for name, history in runs.items():
    values = [
        f"{domain} {history[f'val_{domain}_accuracy'][-1]:.3f}"
        for domain in train
        if f"val_{domain}_accuracy" in history
    ]
    print(f"{name:18} {', '.join(values)}")
