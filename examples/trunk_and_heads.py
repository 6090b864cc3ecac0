"""A shared trunk and a head for each task, given as separate models.

The same model is trained further with another strategy: its weights and the
optimizer's state are kept.

Run with `python examples/trunk_and_heads.py`.
"""

import math
import os

import keras

import keras_mtl

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
EPOCHS = 1 if FAST else 4
IMAGES = 400 if FAST else 4000

keras.utils.set_random_seed(0)
(x_train, y_train), (x_test, y_test) = keras_mtl.datasets.multi_digits(IMAGES)

trunk = keras.Sequential(
    [
        keras.Input((20, 20, 1)),
        keras.layers.Conv2D(16, 5, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
    ],
    name="trunk",
)
heads = {
    task: keras.Sequential(
        [
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name=task,
    )
    for task in ("left", "right")
}
model = keras_mtl.MultiTaskModel(trunk=trunk, heads=heads)
model.compile(
    optimizer="adam",
    loss={task: "sparse_categorical_crossentropy" for task in heads},
    metrics={task: ["accuracy"] for task in heads},
    strategy="ew",
)
model.fit(x_train, y_train, batch_size=100, epochs=EPOCHS, verbose=2)


def count(variables):
    return sum(math.prod(variable.shape) for variable in variables)


print(f"{count(model.shared_variables)} shared parameters")
for task, variables in model.task_variables.items():
    print(f"{count(variables)} parameters of the task {task!r} alone")

model.fit(
    x_train,
    y_train,
    batch_size=100,
    epochs=EPOCHS,
    strategy=keras_mtl.strategies.DBMTL(beta=0.9, sigma=0.5),
    verbose=2,
)
results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
for task in model.tasks:
    print(f"{task}: test accuracy {results[f'{task}_accuracy']:.3f}")
