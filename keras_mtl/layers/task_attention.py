"""Attention of one task over the levels of a shared network."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor


class TaskAttention(keras.layers.Layer):
    """One task's attention modules, one per level of features.

    Args:
        reduction: Channels of a level by those of the hidden convolution.
        outputs: `"last"` or `"all"`: which attended features to return.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(
        self, reduction: int, outputs: str, data_format: str, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.reduction = reduction
        self.outputs = outputs
        self.data_format = data_format
        self.channel_axis = -1 if data_format == "channels_last" else 1

    def build(
        self, shared_shapes: Sequence[Shape], target_shapes: Sequence[Shape]
    ) -> None:
        """Makes the modules for the shapes of shared and attended features."""
        self.masks = []
        self.transitions = []
        carried = 0
        for j, (shared, target) in enumerate(
            zip(shared_shapes, target_shapes, strict=True)
        ):
            channels = target[self.channel_axis]
            mask = [
                *self._convolution(
                    f"hidden_{j}", max(1, channels // self.reduction)
                ),
                *self._convolution(f"mask_{j}", channels, activation="sigmoid"),
            ]
            joined = list(shared)
            joined[self.channel_axis] += carried
            _build(mask, tuple(joined))
            self.masks.append(mask)
            if j + 1 < len(target_shapes):
                following = target_shapes[j + 1]
                carried = following[self.channel_axis]
                transition = [
                    *self._convolution(f"transition_{j}", carried, 3),
                    self._pooling(j, target, following),
                ]
                _build(transition, target)
                self.transitions.append(transition)
        self.built = True

    def _convolution(
        self,
        name: str,
        filters: int,
        kernel_size: int = 1,
        activation: str = "relu",
    ) -> list[Any]:
        return [
            keras.layers.Conv2D(
                filters,
                kernel_size,
                padding="same",
                # The normalization that follows takes any bias away.
                use_bias=False,
                data_format=self.data_format,
                dtype=self.dtype_policy,
                name=name,
            ),
            keras.layers.BatchNormalization(
                axis=self.channel_axis,
                dtype=self.dtype_policy,
                name=f"{name}_normalization",
            ),
            keras.layers.Activation(activation, dtype=self.dtype_policy),
        ]

    def _pooling(
        self, level: int, shape: Shape, following: Shape
    ) -> keras.layers.MaxPooling2D:
        """Returns the pooling from the sizes of one level to the next's."""
        sizes = _sizes(shape, self.channel_axis)
        next_sizes = _sizes(following, self.channel_axis)
        factors = tuple(
            2 if None in pair else max(1, round(pair[0] / pair[1]))
            for pair in zip(sizes, next_sizes, strict=True)
        )
        for padding, rounded in (("same", _ceil), ("valid", _floor)):
            if all(
                None in (size, next_size) or rounded(size, factor) == next_size
                for size, next_size, factor in zip(
                    sizes, next_sizes, factors, strict=True
                )
            ):
                return keras.layers.MaxPooling2D(
                    factors,
                    padding=padding,
                    data_format=self.data_format,
                    dtype=self.dtype_policy,
                )
        raise ValueError(
            "Features of one level must become those of the next by pooling: "
            "give the levels from fine to coarse, with sizes that are divided "
            f"by a whole number. Received: sizes {sizes} on level {level} and "
            f"{next_sizes} on level {level + 1}."
        )

    def call(
        self, shared_levels: Sequence[Tensor], targets: Sequence[Tensor]
    ) -> Any:
        attended: list[Tensor] = []
        for j, (shared, target) in enumerate(
            zip(shared_levels, targets, strict=True)
        ):
            if j:
                carried = _apply(self.transitions[j - 1], attended[-1])
                shared = ops.concatenate(
                    [shared, carried], axis=self.channel_axis
                )
            attended.append(_apply(self.masks[j], shared) * target)
        return attended if self.outputs == "all" else attended[-1]


def _build(layers: list[Any], shape: Shape) -> None:
    for layer in layers:
        layer.build(tuple(shape))
        shape = layer.compute_output_shape(tuple(shape))


def _apply(layers: list[Any], features: Tensor) -> Tensor:
    for layer in layers:
        features = layer(features)
    return features


def _sizes(shape: Shape, channel_axis: int) -> tuple[Any, ...]:
    return tuple(shape[1:3] if channel_axis == -1 else shape[2:4])


def _ceil(size: int, factor: int) -> int:
    return -(-size // factor)


def _floor(size: int, factor: int) -> int:
    return size // factor
