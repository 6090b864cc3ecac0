"""Small backbones with random weights, for images of 32 pixels' side."""

import keras
import pytest


def mobile_net(size=32):
    return keras.applications.MobileNet(
        input_shape=(size, size, 3),
        alpha=0.25,
        include_top=False,
        weights=None,
    )


def keras_hub_resnet(size=32):
    keras_hub = pytest.importorskip("keras_hub")
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 8, 8],
        stackwise_num_blocks=[1, 1, 1],
        stackwise_num_strides=[1, 2, 2],
        block_type="basic_block",
        image_shape=(size, size, 3),
    )


def convolutions(size=32):
    """A stage per level, with padding before and a side branch within."""
    images = x = keras.Input((size, size, 3))
    for level in range(1, 4):
        x = keras.layers.ZeroPadding2D(1)(x)
        x = keras.layers.Conv2D(level + 1, 3, 2, name=f"down_{level}")(x)
        x = keras.layers.BatchNormalization(name=f"stage_{level}")(x)
        # As in squeeze-and-excitation.
        gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = keras.layers.Multiply(name=f"gated_{level}")([x, gate])
    return keras.Model(images, x, name="convolutions")
