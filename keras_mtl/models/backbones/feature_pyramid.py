"""Features of a backbone at several resolutions."""

import math
import re
from collections.abc import Iterable
from typing import Any

import keras

from keras_mtl.export import keras_mtl_export
from keras_mtl.models.networks import is_functional

#: Side of the images by which sizes are found where they are left open.
PROBE_SIZE = 256

#: Layers that only prepare the next resolution.
PREPARING = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)


@keras_mtl_export("keras_mtl.models.feature_pyramid")
def feature_pyramid(
    backbone: keras.Model, levels: Iterable[int] | None = None
) -> keras.Model:
    """Returns a model of a backbone's features at several resolutions.

    Level n has `1 / 2^n` of the height and width of the images. Backbones
    that tell their levels (`pyramid_outputs` of KerasHub) are believed. For
    any other Functional backbone, such as those of `keras.applications` and
    KerasCV, a level is the output of the last layer of that resolution, on
    the way to the backbone's output; layers that only pad or crop do not
    count.

    The weights are those of the backbone. Use it for the trunk of a network
    for dense prediction, or for `keras_mtl.layers.MTAN`.

    Args:
        backbone: A Functional model whose output is a feature map: without
            the layers of a classifier and without global pooling.
        levels: The levels to return, from 1 on. Defaults to `None`: all that
            the backbone has.

    Returns:
        A Functional model with a dict of outputs `{"P2": ..., "P3": ...}`,
        from fine to coarse.

    Raises:
        ValueError: If `backbone` is no such model, or lacks a level.

    Example:

    ```python
    backbone = keras.applications.MobileNetV2(
        input_shape=(64, 64, 3), alpha=0.35, include_top=False, weights=None
    )
    pyramid = keras_mtl.models.feature_pyramid(backbone, levels=[2, 3, 4])
    {name: map.shape for name, map in pyramid.output.items()}
    # {"P2": (None, 16, 16, 48), "P3": (None, 8, 8, 96), ...}
    ```
    """
    if not is_functional(backbone):
        raise ValueError(
            "Argument `backbone` must be a Functional model. Received: "
            f"backbone={backbone!r}"
        )
    by_level = {
        int(name[1:]): tensor
        for name, tensor in getattr(backbone, "pyramid_outputs", {}).items()
        # Some have stages of a transformer there, all of one resolution.
        if re.fullmatch("P[0-9]+", name)
    } or _by_resolution(backbone)
    chosen = sorted(by_level) if levels is None else sorted(set(levels))
    missing = [level for level in chosen if level not in by_level]
    if missing or not chosen:
        raise ValueError(
            "Argument `levels` must name levels that the backbone has: "
            f"{', '.join(map(str, sorted(by_level)))}. Received: "
            f"levels={levels}"
        )
    return keras.Model(
        backbone.input,
        {f"P{level}": by_level[level] for level in chosen},
        name=f"{backbone.name}_pyramid",
    )


def _by_resolution(backbone: keras.Model) -> dict[int, Any]:
    """Returns the last feature map of each level down to the output's."""
    images, output = backbone.input, backbone.output
    if not all(_is_map(tensor) for tensor in (images, output)):
        raise ValueError(
            "The backbone must turn one batch of images into one feature map. "
            "Make it without a classifier and without global pooling "
            "(`include_top=False, pooling=None`). Received: inputs of shape "
            f"{_shape(images)}, outputs of shape {_shape(output)}"
        )
    layers = [
        layer
        for layer in backbone.layers
        if not isinstance(layer, PREPARING) and _is_map(layer.output)
    ]
    maps = [*(layer.output for layer in layers), output]
    sizes = _sizes(backbone, [images, *maps])
    image_size = sizes[0]
    levels = [
        # Rounded: convolutions without padding lose pixels at the border.
        round(math.log2(image_size / size)) if size else 0
        for size in sizes[1:]
    ]
    # Later layers of a level replace earlier ones.
    found = dict(zip(levels, maps, strict=True))
    return {level: found[level] for level in found if 1 <= level <= levels[-1]}


def _sizes(
    backbone: keras.Model, tensors: list[keras.KerasTensor]
) -> list[Any]:
    """Returns the height of each feature map for an image of known size."""
    axis = 1 if keras.config.image_data_format() == "channels_last" else 2
    shape = [PROBE_SIZE if size is None else size for size in tensors[0].shape]
    shape[0] = 1
    probe = keras.Model(backbone.input, tensors)
    images = keras.KerasTensor(shape, dtype=tensors[0].dtype)
    return [spec.shape[axis] for spec in probe.compute_output_spec(images)]


def _is_map(tensor: Any) -> bool:
    return isinstance(tensor, keras.KerasTensor) and len(tensor.shape) == 4


def _shape(tensors: Any) -> Any:
    return keras.tree.map_structure(lambda tensor: tensor.shape, tensors)
