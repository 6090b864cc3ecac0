"""The network of the demo."""

import keras

from keras_mtl.models import MultiTaskModel


def build_model(side: int = 20) -> MultiTaskModel:
    """Returns a small convolutional trunk with a classifier per digit.

    In the manner of LeNet: two convolutions, which halve the image, and a
    dense layer, all shared; each task has one dense layer of its own.

    Args:
        side: Height and width of the images. Defaults to `20`.
    """
    inputs = keras.Input((side, side, 1), name="image")
    x = keras.layers.Conv2D(
        32, 4, strides=2, activation="relu", name="convolution_1"
    )(inputs)
    x = keras.layers.Conv2D(
        32, 3, strides=2, activation="relu", name="convolution_2"
    )(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(64, activation="relu", name="features")(x)
    outputs = {
        task: keras.layers.Dense(10, name=task)(x) for task in ("left", "right")
    }
    return MultiTaskModel(inputs, outputs)


def compile_model(
    model: MultiTaskModel, strategy: str | None, learning_rate: float
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
