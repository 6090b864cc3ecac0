"""The network of the demo."""

import keras

from keras_mtl.models import MultiTaskModel


def build_model() -> MultiTaskModel:
    """Returns a small convolutional trunk with a classifier per digit.

    In the manner of LeNet: two convolutions, each followed by pooling, and a
    dense layer, all shared; each task has one dense layer of its own.
    """
    inputs = keras.Input((20, 20, 1), name="image")
    x = keras.layers.Conv2D(16, 5, activation="relu", name="conv_1")(inputs)
    x = keras.layers.AveragePooling2D(2, name="pool_1")(x)
    x = keras.layers.Conv2D(32, 3, activation="relu", name="conv_2")(x)
    x = keras.layers.AveragePooling2D(2, name="pool_2")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(64, activation="relu", name="features")(x)
    outputs = {
        task: keras.layers.Dense(10, name=task)(x) for task in ("left", "right")
    }
    return MultiTaskModel(inputs, outputs)


def compile_model(
    model: MultiTaskModel, strategy: str, learning_rate: float
) -> None:
    """Compiles the model with Adam and a cross-entropy per task."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss={
            task: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            for task in model.tasks
        },
        metrics={task: ["accuracy"] for task in model.tasks},
        strategy=strategy,
    )
