"""
Title: Flat minima for two overlapping digits
Author: The keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: FS-MTL against equal weighting on Multi-MNIST.
Accelerator: None
"""

"""
Each image shows two handwritten digits that overlap. One task is to read the
digit on the top left, the other the one on the bottom right. Both share a
small convolutional network, and have to share its capacity.

FS-MTL ([Phan et al., 2023](https://arxiv.org/abs/2211.13723)) looks for
weights in whose neighbourhood the loss of *each* task is low. In every step
it moves the weights to where a task's loss is high, takes the gradient there
as well, and merges the two kinds of gradients of all tasks apart. We compare
it with the plain sum of the losses: accuracy, calibration, the conflicts
between the tasks, and the loss around the weights that were found.

## Setup

`KERAS_BACKEND` selects the backend. `KERAS_MTL_DATA` is the folder with the
folder `mnist` in which the four IDX files are; without it, TensorFlow Datasets
downloads them. `KERAS_MTL_FAST=1` makes everything smaller, to see whether it
runs.
"""

import os

import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_mtl

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
IMAGES = 256 if FAST else 12_000
TEST_IMAGES = 128 if FAST else 4_000
EPOCHS = 2 if FAST else 8
BATCH_SIZE = 64 if FAST else 128

"""
## Data

The benchmark has 120,000 training images; a tenth is enough to see the
effect. Training images are made of training digits, test images of test
digits. Nothing below is chosen by the test images.
"""

options = {
    "data_dir": os.environ.get("KERAS_MTL_DATA"),
    "num_train": IMAGES,
    "num_test": TEST_IMAGES,
}
x_train, y_train = keras_mtl.datasets.multi_mnist("train", **options)
x_test, y_test = keras_mtl.datasets.multi_mnist("test", **options)

figure, panels = plt.subplots(1, 6, figsize=(9, 1.9), layout="constrained")
for i, panel in enumerate(panels):
    panel.imshow(x_train[i, ..., 0], cmap="gray_r")
    panel.set_title(f"{y_train['left'][i]} and {y_train['right'][i]}")
    panel.axis("off")
plt.show()

"""
## Model

LeNet, as in the papers that use this problem: two convolutions and a dense
layer are shared, and each task has two dense layers of its own.
"""


def make_model():
    keras.utils.set_random_seed(0)
    image = keras.Input((36, 36, 1))
    x = keras.layers.Conv2D(10, 9, activation="relu")(image)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(20, 5, activation="relu")(x)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Dense(50, activation="relu")(keras.layers.Flatten()(x))
    outputs = {}
    for task in ("left", "right"):
        hidden = keras.layers.Dense(50, activation="relu")(x)
        outputs[task] = keras.layers.Dense(10, activation="softmax", name=task)(
            hidden
        )
    model = keras_mtl.MultiTaskModel(image, outputs)
    model.compile(
        keras.optimizers.Adam(1e-3),
        loss=dict.fromkeys(outputs, "sparse_categorical_crossentropy"),
        metrics={task: ["accuracy"] for task in outputs},
    )
    return model


"""
## Training

The strategy is all that differs. The radius of FS-MTL is the one number to
tune; measure it on validation data of your own problem. `TaskMonitor` writes
into the logs how often the tasks' gradients point against each other.
"""

STRATEGIES = {
    "equal weighting": "ew",
    "FS-MTL": keras_mtl.strategies.FSMTL(aggregator="imtl_g", rho=0.05),
}
models, histories, monitors = {}, {}, {}
for name, strategy in STRATEGIES.items():
    models[name] = make_model()
    monitors[name] = keras_mtl.callbacks.TaskMonitor()
    histories[name] = models[name].fit(
        x_train,
        y_train,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=(x_test, y_test),
        strategy=strategy,
        callbacks=[monitors[name]],
        verbose=2,
    )

keras_mtl.visualization.plot_losses(histories)

"""
Dashed lines are the test images. A gap between the two kinds of lines is what
flatness is meant to close.

## Results
"""

print(f"{'':16}{'left':>8}{'right':>8}   accuracy on test images, last epoch")
for name, history in histories.items():
    accuracies = [
        history.history[f"val_{task}_accuracy"][-1] for task in y_test
    ]
    print(f"{name:16}" + "".join(f"{value:8.3f}" for value in accuracies))

"""
### Are they as sure as they should be?

Bars below the diagonal are predictions made with too much confidence.
"""

figure, panels = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for (name, model), panel in zip(models.items(), panels, strict=True):
    probabilities = model.predict(x_test, verbose=0)["right"]
    keras_mtl.visualization.plot_reliability(
        probabilities, y_test["right"], ax=panel
    )
    panel.set_title(f"{name}, right: {panel.get_title()}")
plt.show()

"""
### Do the tasks conflict?

Mean cosine between the tasks' gradients of the shared weights, over the last
epoch of FS-MTL, and the share of steps in which it was negative. Equal
weighting takes no gradient for each task, and has none to show.
"""

monitor = monitors["FS-MTL"]
print(f"steps in conflict: {histories['FS-MTL'].history['conflict_ratio'][-1]}")
keras_mtl.visualization.plot_conflicts(monitor.cosines[-1], ["left", "right"])

"""
### How flat is it around the weights?

The loss of each task on a random plane through the weights that were found,
the same plane for both models.
"""

few = {task: labels[:500] for task, labels in y_test.items()}
keras_mtl.visualization.plot_loss_landscape(
    models["equal weighting"], x_test[:500], few, num_points=3 if FAST else 9
)

"""
And after FS-MTL:
"""

keras_mtl.visualization.plot_loss_landscape(
    models["FS-MTL"], x_test[:500], few, num_points=3 if FAST else 9
)

"""
One seed and a tenth of the data prove nothing: repeat it with more of both
before you trust a difference in the third digit.
"""

best = max(
    histories,
    key=lambda name: np.mean(
        [histories[name].history[f"val_{task}_accuracy"][-1] for task in y_test]
    ),
)
print(f"Higher mean accuracy on test images here: {best}")
