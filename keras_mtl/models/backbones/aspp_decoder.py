"""The decoder of DeepLabV3+: what surrounds a pixel, at several scales."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.models.backbones.resized import resized

#: Share of the decoder's channels that fine features get: 48 of 256.
FINE_SHARE = 48 / 256


def aspp_decoder(
    fine: Any,
    coarse: Any,
    factor: int,
    channels: int,
    filters: int,
    rates: Sequence[int],
    dropout: float,
    name: str,
) -> keras.Model:
    """Returns a model from fine and coarse features to a fine map.

    Args:
        fine: Symbolic features that give detail.
        coarse: Symbolic features that give context.
        factor: Size of the fine ones by that of the coarse ones.
        channels: Channels of the result.
        filters: Channels in between.
        rates: Dilations of the parallel convolutions.
        dropout: Share of the context that is dropped in training.
        name: Name of the model.
    """
    axis = -1 if keras.config.image_data_format() == "channels_last" else 1
    inputs = [keras.Input(x.shape[1:], dtype=x.dtype) for x in (fine, coarse)]
    detail, context = inputs
    branches = [
        _convolution(context, filters, 1, axis),
        *(_convolution(context, filters, 3, axis, rate) for rate in rates),
    ]
    whole = keras.layers.GlobalAveragePooling2D(keepdims=True)(context)
    whole = _convolution(whole, filters, 1, axis)
    branches.append(ops.zeros_like(branches[0]) + whole)
    x = ops.concatenate(branches, axis)
    x = _convolution(x, filters, 1, axis)
    x = keras.layers.Dropout(dropout)(x)
    x = resized(x, detail, factor)
    detail = _convolution(detail, max(1, int(FINE_SHARE * filters)), 1, axis)
    x = ops.concatenate([x, detail], axis)
    x = _convolution(x, filters, 3, axis)
    # In float32 for the losses, whatever the policy.
    x = keras.layers.Conv2D(channels, 1, dtype="float32")(x)
    return keras.Model(inputs, x, name=name)


def _convolution(
    x: keras.KerasTensor, filters: int, size: int, axis: int, rate: int = 1
) -> keras.KerasTensor:
    x = keras.layers.Conv2D(
        filters, size, padding="same", dilation_rate=rate, use_bias=False
    )(x)
    x = keras.layers.BatchNormalization(axis=axis)(x)
    return keras.layers.Activation("relu")(x)
