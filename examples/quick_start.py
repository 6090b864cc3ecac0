"""Two classification tasks on one image, trained with FS-MTL.

Run with `python examples/quick_start.py`; `KERAS_BACKEND` selects the backend.
"""

import os

import keras

import keras_mtl

FAST = os.environ.get("KERAS_MTL_FAST") == "1"
EPOCHS = 1 if FAST else 8
IMAGES = 400 if FAST else 4000

keras.utils.set_random_seed(0)
(x_train, y_train), (x_test, y_test) = keras_mtl.datasets.multi_digits(IMAGES)

image = keras.Input((20, 20, 1))
x = keras.layers.Conv2D(16, 5, activation="relu")(image)
x = keras.layers.MaxPooling2D()(x)
x = keras.layers.Flatten()(x)
x = keras.layers.Dense(64, activation="relu")(x)
left = keras.layers.Dense(10, activation="softmax", name="left")(x)
right = keras.layers.Dense(10, activation="softmax", name="right")(x)

model = keras_mtl.MultiTaskModel(image, {"left": left, "right": right})
model.compile(
    optimizer="adam",
    loss={
        "left": "sparse_categorical_crossentropy",
        "right": "sparse_categorical_crossentropy",
    },
    metrics={"left": ["accuracy"], "right": ["accuracy"]},
)
model.fit(
    x_train,
    y_train,
    batch_size=100,
    epochs=EPOCHS,
    validation_data=(x_test, y_test),
    strategy="fs_mtl",
    verbose=2,
)
results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
for task in model.tasks:
    print(f"{task}: test accuracy {results[f'{task}_accuracy']:.3f}")
