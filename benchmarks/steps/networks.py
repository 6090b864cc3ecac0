"""The networks that are timed, with their data."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

BATCH_SIZE = 256
LEARNING_RATE = 1e-3


@dataclasses.dataclass
class Problem:
    """A network with data.

    Attributes:
        trunk: The layers that all tasks share.
        heads: One layer by task.
        losses: Loss by task.
        x: Inputs of one batch, NumPy.
        y: Labels by task, NumPy.
    """

    trunk: keras.Model
    heads: dict[str, keras.layers.Layer]
    losses: dict[str, keras.losses.Loss]
    x: np.ndarray
    y: dict[str, np.ndarray]

    def functional(self) -> tuple[Any, dict[str, Any]]:
        """Returns symbolic inputs and outputs."""
        inputs = keras.Input(self.x.shape[1:])
        features = self.trunk(inputs)
        return inputs, {
            task: head(features) for task, head in self.heads.items()
        }

    def build(self) -> "Problem":
        """Creates the variables."""
        self.functional()
        return self

    def with_tasks(self, count: int) -> "Problem":
        """Returns the problem with a number of tasks like the first one."""
        first = next(iter(self.heads))
        head, tasks = self.heads[first], [f"task_{k}" for k in range(count)]
        return dataclasses.replace(
            self,
            heads={
                task: type(head).from_config(
                    {**head.get_config(), "name": task}
                )
                for task in tasks
            },
            losses=dict.fromkeys(tasks, self.losses[first]),
            y=dict.fromkeys(tasks, self.y[first]),
        )

    @staticmethod
    def optimizer() -> keras.optimizers.Optimizer:
        """The optimizer of every variant."""
        return keras.optimizers.SGD(LEARNING_RATE)


def fresh(make: Callable[[], Problem]) -> Callable[[], Problem]:
    """Makes a problem whose weights are new, and of the same values, each time.

    Each row of a table trains weights of its own.
    """

    def build() -> Problem:
        keras.utils.set_random_seed(0)
        return make().build()

    return build


def two_classifiers(
    trunk: keras.Model, x: np.ndarray, generator: Any
) -> Problem:
    """Two tasks of ten classes each."""
    tasks = ("first", "second")
    return Problem(
        trunk=trunk,
        heads={
            task: keras.layers.Dense(10, activation="softmax", name=task)
            for task in tasks
        },
        losses={
            task: keras.losses.SparseCategoricalCrossentropy() for task in tasks
        },
        x=x,
        y={
            task: generator.integers(0, 10, size=len(x)).astype("int32")
            for task in tasks
        },
    )


def lenet() -> Problem:
    """Two classification tasks on images of 36 x 36 pixels."""
    layers = keras.layers
    generator = np.random.default_rng(0)
    trunk = keras.Sequential(
        [
            layers.Conv2D(10, 9, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(20, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(50, activation="relu"),
        ]
    )
    x = _images(generator, BATCH_SIZE, 36, 1)
    return two_classifiers(trunk, x, generator)


def mlp(width: int = 512, batch_size: int = BATCH_SIZE) -> Problem:
    """Eight regression tasks on vectors."""
    layers = keras.layers
    generator = np.random.default_rng(0)
    tasks = [f"task_{index}" for index in range(8)]
    x = generator.normal(size=(batch_size, 256)).astype("float32")
    return Problem(
        trunk=keras.Sequential(
            [layers.Dense(width, activation="relu") for _ in range(3)]
        ),
        heads={task: layers.Dense(1, name=task) for task in tasks},
        losses={task: keras.losses.MeanSquaredError() for task in tasks},
        x=x,
        y={
            task: generator.normal(size=(batch_size, 1)).astype("float32")
            for task in tasks
        },
    )


def mlp_32() -> Problem:
    """The same with 32 tasks."""
    return mlp().with_tasks(32)


class ResidualBlock(keras.layers.Layer):
    """Two convolutions 3 x 3 beside a short cut, as in a ResNet-18.

    Args:
        channels: Channels of the output.
        stride: Of the first convolution; the short cut has a convolution
            1 x 1 where it is not 1.
    """

    def __init__(self, channels: int, stride: int = 1):
        super().__init__()
        layers = keras.layers
        # Padded on both sides, which "same" does not for a stride of 2.
        padding = [layers.ZeroPadding2D(1)] if stride > 1 else []
        self.residual = keras.Sequential(
            [
                *padding,
                _convolution(channels, 3, stride),
                _normalization(),
                layers.ReLU(),
                _convolution(channels, 3),
                _normalization(),
            ]
        )
        self.shortcut = keras.Sequential()
        if stride > 1:
            self.shortcut.add(_convolution(channels, 1, stride))
            self.shortcut.add(_normalization())

    def build(self, input_shape: Any) -> None:
        """Creates the weights."""
        self.residual.build(input_shape)
        if self.shortcut.layers:
            self.shortcut.build(input_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns features of as many rows and columns over the stride."""
        outputs = self.residual(inputs, training=training)
        if self.shortcut.layers:
            inputs = self.shortcut(inputs, training=training)
        return keras.ops.relu(outputs + inputs)


def _convolution(channels: int, size: int, stride: int = 1) -> Any:
    return keras.layers.Conv2D(
        channels,
        size,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
    )


def _normalization() -> Any:
    channels_last = keras.config.image_data_format() == "channels_last"
    return keras.layers.BatchNormalization(-1 if channels_last else 1)


def _images(generator: Any, count: int, size: int, channels: int) -> np.ndarray:
    """Noise in the layout that Keras is set to."""
    x = generator.normal(size=(count, size, size, channels))
    if keras.config.image_data_format() == "channels_first":
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return x.astype("float32")


def resnet18() -> Problem:
    """Two classifications of images 32 x 32 by a ResNet-18, batches of 8."""
    layers = keras.layers
    generator = np.random.default_rng(0)
    blocks = [
        ResidualBlock(channels, stride)
        for channels, first in ((64, 1), (128, 2), (256, 2), (512, 2))
        for stride in (first, 1)
    ]
    trunk = keras.Sequential(
        [
            _convolution(64, 3),
            _normalization(),
            layers.ReLU(),
            *blocks,
            layers.GlobalAveragePooling2D(),
        ]
    )
    return two_classifiers(trunk, _images(generator, 8, 32, 3), generator)


def encoder_decoder() -> Problem:
    """Segmentation, depth and normals of images 64 x 64, batches of 8.

    With channels last, as losses by pixel have them.
    """
    layers = keras.layers
    generator = np.random.default_rng(0)
    shape = (8, 64, 64)

    def convolution(channels: int) -> Any:
        return layers.Conv2D(channels, 3, padding="same", activation="relu")

    def normal(channels: int) -> np.ndarray:
        return generator.normal(size=(*shape, channels)).astype("float32")

    encoder = [
        layer
        for channels in (32, 64, 128)
        for layer in (convolution(channels), layers.MaxPooling2D(2))
    ]
    decoder = [
        layer
        for channels in (128, 64, 32)
        for layer in (layers.UpSampling2D(2), convolution(channels))
    ]
    return Problem(
        trunk=keras.Sequential([*encoder, *decoder]),
        heads={
            "segmentation": layers.Conv2D(13, 1, name="segmentation"),
            "depth": layers.Conv2D(1, 1, name="depth"),
            "normals": layers.Conv2D(3, 1, name="normals"),
        },
        losses={
            # On torch, Keras 3.15 has no gradient of it by probabilities.
            "segmentation": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True
            ),
            "depth": keras.losses.MeanSquaredError(),
            "normals": keras.losses.MeanSquaredError(),
        },
        x=normal(3),
        y={
            "segmentation": generator.integers(0, 13, shape).astype("int32"),
            "depth": normal(1),
            "normals": normal(3),
        },
    )


def wide_mlp(width: int) -> Problem:
    """A classification task with much larger weights than activations."""
    generator = np.random.default_rng(0)
    dense = keras.layers.Dense
    return Problem(
        trunk=keras.Sequential(
            [dense(width, activation="relu") for _ in range(3)]
        ),
        heads={"class": dense(10, name="class")},
        losses={
            "class": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True
            )
        },
        x=generator.normal(size=(16, width)).astype("float32"),
        y={"class": generator.integers(0, 10, 16).astype("int32")},
    )


NETWORKS = {
    "lenet": lenet,
    "mlp": mlp,
    "mlp_32": mlp_32,
    "resnet18": resnet18,
    "encoder_decoder": encoder_decoder,
}
