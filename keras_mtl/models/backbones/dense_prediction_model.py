"""A model that predicts several things for each pixel."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.layers.mtan import MTAN
from keras_mtl.models.backbones.aspp_decoder import aspp_decoder
from keras_mtl.models.backbones.feature_pyramid import feature_pyramid
from keras_mtl.models.backbones.resized import resized
from keras_mtl.models.multi_task_model import MultiTaskModel
from keras_mtl.typing import Tensor

#: Squared length below which a vector is not brought to length 1.
SMALLEST_SQUARE = 1e-12


@keras_mtl_export("keras_mtl.models.dense_prediction_model")
def dense_prediction_model(
    backbone: keras.Model,
    tasks: Mapping[str, int],
    attention: bool = False,
    unit_length: Sequence[str] = (),
    filters: int = 256,
    rates: Sequence[int] = (6, 12, 18),
    dropout: float = 0.0,
    fine_level: int = 2,
    coarse_level: int | None = None,
    name: str | None = None,
) -> MultiTaskModel:
    """Makes a model of a backbone and one DeepLabV3+ decoder per task.

    For segmentation, depth, surface normals and the like: each task gets an
    output of the height and width of the images. The decoder is atrous
    spatial pyramid pooling on a coarse level of the backbone's features,
    joined with a fine level.

    Args:
        backbone: A Functional model that `keras_mtl.models.feature_pyramid`
            takes. It is shared by the tasks, with its weights.
        tasks: Dict from task names to numbers of channels, such as
            `{"segmentation": 13, "depth": 1, "normals": 3}`.
        attention: Whether each task sees the levels through attention
            modules of its own, `keras_mtl.layers.MTAN`. Defaults to `False`.
        unit_length: Names of the tasks whose output is brought to length 1
            at each pixel, for surface normals. Defaults to `()`.
        filters: Channels of the decoders. Defaults to `256`.
        rates: Dilations of the parallel convolutions. Defaults to
            `(6, 12, 18)`, for a coarse level of about 32 pixels' side.
        dropout: Share of features that decoders drop in training, at least 0
            and below 1. Defaults to `0.0`.
        fine_level: Level of the fine features, `1 / 2^n` of the images'
            size. Defaults to `2`.
        coarse_level: Level of the coarse features. Defaults to `None`, the
            backbone's last.
        name: Optional name of the model.

    Returns:
        A `keras_mtl.MultiTaskModel` with a float32 output per task, without
        an activation: logits for segmentation. If the backbone leaves the
        size of images open, their sides must be multiples of
        `2^coarse_level`.

    Raises:
        ValueError: If an argument is out of range, or if the backbone has no
            such levels.

    Example:

    ```python
    backbone = keras.applications.MobileNetV2(
        input_shape=(64, 64, 3), alpha=0.35, include_top=False, weights=None
    )
    model = keras_mtl.models.dense_prediction_model(
        backbone,
        {"segmentation": 13, "depth": 1, "normals": 3},
        unit_length=["normals"],
        filters=32,
        rates=(1, 2),
        coarse_level=4,
    )
    model.output_names  # ["segmentation", "depth", "normals"]
    ```

    References:
        Chen et al., Encoder-Decoder with Atrous Separable Convolution for
        Semantic Image Segmentation, ECCV 2018,
        [arXiv:1802.02611](https://arxiv.org/abs/1802.02611); with plain in
        place of separable convolutions, and one where it has two after the
        features are joined.
    """
    _check_tasks(tasks, unit_length)
    checked_integer("filters", filters)
    checked_number("dropout", dropout, "[0, 1)")
    pyramid = feature_pyramid(backbone)
    levels = _levels(pyramid, fine_level, coarse_level)
    maps = [pyramid.output[f"P{level}"] for level in levels]
    features = dict.fromkeys(tasks, maps)
    if attention:
        features = MTAN(list(tasks), outputs="all")(maps)
    images = keras.tree.flatten(backbone.input)[0]
    outputs = {}
    for task, channels in tasks.items():
        fine, coarse = features[task][0], features[task][-1]
        decoder = aspp_decoder(
            fine,
            coarse,
            2 ** (levels[-1] - levels[0]),
            channels,
            filters,
            rates,
            dropout,
            name=f"{task}_decoder",
        )
        output = resized(decoder([fine, coarse]), images, 2 ** levels[0])
        outputs[task] = _normed(output) if task in unit_length else output
    return MultiTaskModel(backbone.input, outputs, name=name)


def _levels(
    pyramid: keras.Model, fine_level: int, coarse_level: int | None
) -> list[int]:
    """Returns the levels from the fine to the coarse one, or raises."""
    known = [int(key.removeprefix("P")) for key in pyramid.output]
    coarse_level = max(known) if coarse_level is None else coarse_level
    if not {fine_level, coarse_level} <= set(known) or (
        fine_level > coarse_level
    ):
        raise ValueError(
            "Arguments `fine_level` and `coarse_level` must be levels of the "
            f"backbone, {', '.join(map(str, sorted(known)))}, the fine one "
            f"first. Received: fine_level={fine_level}, "
            f"coarse_level={coarse_level}"
        )
    return [n for n in sorted(known) if fine_level <= n <= coarse_level]


def _check_tasks(tasks: Any, unit_length: Any) -> None:
    if not isinstance(tasks, Mapping) or len(tasks) < 2:
        raise ValueError(
            "Argument `tasks` must be a dict from two or more task names to "
            f"numbers of channels. Received: tasks={tasks!r}"
        )
    for task, channels in tasks.items():
        checked_integer(f"tasks[{task!r}]", channels)
    unknown = [task for task in unit_length if task not in tasks]
    if unknown or isinstance(unit_length, str):
        raise ValueError(
            "Argument `unit_length` must be a list of names of `tasks`, "
            f"{', '.join(tasks)}. Received: unit_length={unit_length!r}"
        )


def _normed(vectors: Tensor) -> Tensor:
    """Returns vectors of length 1; those close to zero stay short."""
    axis = -1 if keras.config.image_data_format() == "channels_last" else 1
    # Not `ops.normalize`, whose gradient at zero is not finite.
    square = ops.sum(ops.square(vectors), axis=axis, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(square, SMALLEST_SQUARE))
