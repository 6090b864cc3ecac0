"""
Title: One training script on TensorFlow, JAX and torch
Author: The keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: The same curves from three backends, and how long they took.
Accelerator: None
"""

"""
Keras chooses its backend when it is imported, from the environment variable
`KERAS_BACKEND`; after that it is fixed for the process. To compare backends,
run the script once on each, in processes of their own. Nothing in the script
changes: strategies are written in `keras.ops`.

From the same weights, on the same batches, a deterministic method should make
the same steps everywhere, up to rounding. Does it?

## Setup

`KERAS_MTL_FAST=1` makes everything smaller, to see whether it runs.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
IMAGES = 200 if FAST else 4000
EPOCHS = 2 if FAST else 15

PACKAGES = {"jax": "jax", "tensorflow": "tensorflow", "torch": "torch"}
BACKENDS = [
    backend
    for backend, package in PACKAGES.items()
    if importlib.util.find_spec(package)
]
print("installed here:", ", ".join(BACKENDS))

"""
## The script

It reads its arguments, trains, and writes the history. Three things make the
runs comparable:

- initial weights are drawn by NumPy, since each backend has its own random
  numbers;
- `shuffle=False`, for the same reason: the order of the data is fixed;
- the strategy is deterministic. `imtl_g` is; `pcgrad`, for one, draws the
  order of the tasks at random.
"""

SCRIPT = '''
import json
import sys
import time

import keras
import numpy as np

import keras_mtl

images, epochs, target = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
train, test = keras_mtl.datasets.multi_digits(images, num_test=images // 2)

image = keras.Input((20, 20, 1))
x = keras.layers.Conv2D(16, 5, activation="relu")(image)
x = keras.layers.MaxPooling2D()(x)
x = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(x))
outputs = {
    task: keras.layers.Dense(10, activation="softmax", name=task)(x)
    for task in ("left", "right")
}
model = keras_mtl.MultiTaskModel(image, outputs)
generator = np.random.default_rng(0)
model.set_weights(
    [
        generator.normal(0.0, np.prod(value.shape[:-1]) ** -0.5, value.shape)
        if value.ndim > 1
        else value
        for value in model.get_weights()
    ]
)
model.compile(
    keras.optimizers.SGD(0.05, momentum=0.9),
    loss=dict.fromkeys(outputs, "sparse_categorical_crossentropy"),
    metrics={task: ["accuracy"] for task in outputs},
    strategy="imtl_g",
)


class Clock(keras.callbacks.Callback):
    """Notes when each epoch ends."""

    def on_train_begin(self, logs=None):
        self.times = [time.perf_counter()]

    def on_epoch_end(self, epoch, logs=None):
        self.times.append(time.perf_counter())


clock = Clock()
history = model.fit(
    *train,
    batch_size=100,
    epochs=epochs,
    shuffle=False,
    validation_data=test,
    callbacks=[clock],
    verbose=0,
)
with open(target, "w") as file:
    seconds = np.diff(clock.times).tolist()
    json.dump({"seconds": seconds, **history.history}, file)
'''

"""
## Running it

The backend is in the environment of each process, and nowhere else.
"""


def run(backend, folder):
    script, target = folder / "train.py", folder / f"{backend}.json"
    script.write_text(SCRIPT)
    subprocess.run(
        [sys.executable, str(script), str(IMAGES), str(EPOCHS), str(target)],
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return json.loads(target.read_text())


with tempfile.TemporaryDirectory() as folder:
    runs = {backend: run(backend, Path(folder)) for backend in BACKENDS}

"""
## The curves

Lines of the three backends lie on top of each other: later ones are drawn
thinner, so that those below can be seen.
"""

figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
STYLES = ["-", "--", ":"]
for index, (backend, history) in enumerate(runs.items()):
    epochs = range(1, EPOCHS + 1)
    for panel, task in zip(panels, ("left", "right"), strict=True):
        panel.plot(
            epochs,
            history[f"val_{task}_loss"],
            STYLES[index],
            linewidth=5 - 1.5 * index,
            label=backend,
        )
        panel.set_title(f"{task}, validation")
        panel.set_xlabel("epoch")
        panel.set_ylabel("loss")
panels[0].legend()
plt.show()

"""
How far apart they are: float32 has about seven digits, and training amplifies
what differs in the last one.
"""

reference = next(iter(runs))
for backend, history in runs.items():
    difference = max(
        np.max(np.abs(np.subtract(history[name], runs[reference][name])))
        for name in ("val_left_loss", "val_right_loss")
    )
    accuracy = np.mean(
        [history[f"val_{task}_accuracy"][-1] for task in ("left", "right")]
    )
    # The first epoch contains the compilation.
    seconds = np.median(history["seconds"][1:])
    print(
        f"{backend:11} validation accuracy {accuracy:.3f}, largest difference "
        f"to {reference} {difference:.1e}, {seconds:.2f} s an epoch"
    )
