"""Feature maps brought to the size of others."""

from typing import Any

import keras
from keras import ops


def resized(features: Any, like: Any, factor: int) -> Any:
    """Returns symbolic features, interpolated to the size of others.

    Args:
        features: Symbolic feature maps.
        like: Symbolic feature maps of the size wanted.
        factor: By what the size is multiplied where it is not known.
    """
    data_format = keras.config.image_data_format()
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    size = tuple(like.shape[axis] for axis in axes)
    if None in size:
        return keras.layers.UpSampling2D(
            factor, interpolation="bilinear", dtype=features.dtype
        )(features)
    if size == tuple(features.shape[axis] for axis in axes):
        return features
    return ops.image.resize(
        features, size, interpolation="bilinear", data_format=data_format
    )
