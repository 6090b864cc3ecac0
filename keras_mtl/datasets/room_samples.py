"""Rendered rooms as a data set."""

from collections.abc import Sequence

import numpy as np

from keras_mtl.datasets.recipe import ArraySpec
from keras_mtl.datasets.recipe import Recipe
from keras_mtl.datasets.room_images import render_rooms
from keras_mtl.datasets.room_scenes import RoomScenes
from keras_mtl.datasets.room_scenes import draw_scenes
from keras_mtl.datasets.task_sources import generator_of

NOISE = 0.02
"""Standard deviation, of images in [0, 1]."""

PIXELS_AT_A_TIME = 65_536
"""So many stay in the caches of a processor."""


class RenderedRooms(Recipe):
    """Renders scenes when they are asked for.

    Args:
        num_train: Number of training images.
        num_test: Number of test images.
        image_size: Height and width.
        seed: Seed of scenes and noise.
    """

    name = "rendered_rooms"

    def __init__(
        self,
        num_train: int = 2000,
        num_test: int = 500,
        image_size: Sequence[int] = (64, 64),
        seed: int = 0,
    ):
        super().__init__(
            num_train=num_train,
            num_test=num_test,
            image_size=image_size,
            seed=seed,
        )

    def specs(self):
        size = self.options["image_size"]
        return ArraySpec((*size, 3), "float32"), {
            "segmentation": ArraySpec(size, "int32"),
            "depth": ArraySpec((*size, 1), "float32"),
            "normal": ArraySpec((*size, 3), "float32"),
        }

    def open(self, split, data_dir=None):
        seed = self.options["seed"]
        scenes = draw_scenes(
            generator_of(seed, split, 0), self.options[f"num_{split}"]
        )
        return RoomSamples(scenes, self.options["image_size"], seed, split)


class RoomSamples:
    """Rooms of a split.

    Args:
        scenes: Their parameters.
        image_size: Height and width.
        seed: Seed of the noise.
        split: Name of the split.
    """

    def __init__(
        self,
        scenes: RoomScenes,
        image_size: tuple[int, int],
        seed: int,
        split: str,
    ):
        self.scenes = scenes
        self.image_size = image_size
        self.seed = seed
        self.split = split

    def __len__(self):
        return len(self.scenes)

    def take(self, rows):
        height, width = self.image_size
        step = max(1, PIXELS_AT_A_TIME // (height * width))
        parts = [
            render_rooms(self.scenes.take(part), height, width)
            for part in (
                rows[start : start + step]
                for start in range(0, max(1, len(rows)), step)
            )
        ]
        image, segmentation, depth, normal = (
            np.concatenate(field) for field in zip(*parts, strict=True)
        )
        for place, row in enumerate(rows):
            # The noise of a sample is its own, in whatever batch it is.
            generator = generator_of(self.seed, self.split, 1 + int(row))
            image[place] += NOISE * generator.standard_normal(
                image.shape[1:], dtype="float32"
            )
        labels = {
            "segmentation": segmentation,
            "depth": depth,
            "normal": normal,
        }
        return np.clip(image, 0.0, 1.0), labels
