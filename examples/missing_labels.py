"""Two tasks, of which one has labels for a fifth of the images only.

Missing labels are NaN. The same is trained twice, with 20 % and with all of
the right labels. Run with `python examples/missing_labels.py`;
`KERAS_BACKEND` selects the backend.
"""

import os

import keras
import numpy as np

import keras_mtl

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
EPOCHS = 1 if FAST else 10
IMAGES = 400 if FAST else 4000
LOSS = "sparse_categorical_crossentropy"


def make_model():
    image = keras.Input((20, 20, 1))
    x = keras.layers.Conv2D(16, 5, activation="relu")(image)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    heads = {
        task: keras.layers.Dense(10, activation="softmax", name=task)(x)
        for task in ("left", "right")
    }
    model = keras_mtl.MultiTaskModel(image, heads)
    model.compile(
        "adam",
        loss={"left": LOSS, "right": LOSS},
        metrics={"left": ["accuracy"], "right": ["accuracy"]},
        strategy="imtl_g",
    )
    return model


(x_train, y_train), (x_test, y_test) = keras_mtl.datasets.multi_digits(IMAGES)
for share in (1.0, 0.2):
    keras.utils.set_random_seed(0)
    labels = {task: y.astype("float32") for task, y in y_train.items()}
    unlabelled = np.random.default_rng(0).random(IMAGES) >= share
    labels["right"][unlabelled] = np.nan
    model = make_model()
    model.fit(
        x_train,
        labels,
        batch_size=100,
        epochs=EPOCHS,
        validation_data=(x_test, y_test),
        verbose=2,
    )
    results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    for task in model.tasks:
        print(
            f"{share:4.0%} of the right labels, {task}: test accuracy "
            f"{results[f'{task}_accuracy']:.3f}"
        )
