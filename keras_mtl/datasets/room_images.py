"""Renders rooms: images, and what they show."""

from typing import NamedTuple

import numpy as np

from keras_mtl.datasets.room_scenes import LABELS
from keras_mtl.datasets.room_scenes import NUM_ROOM_SURFACES
from keras_mtl.datasets.room_scenes import RoomScenes
from keras_mtl.datasets.room_surfaces import Hits
from keras_mtl.datasets.room_surfaces import cast_rays

FIELD_OF_VIEW = 70.0
"""Horizontal, in degrees."""

MAX_DEPTH = 7.0
"""Metres; what is farther away is unknown."""

JUMP = 1.15
"""Next to an object that is nearer by this factor, depth is unknown."""

VOID = -1
"""Label of pixels about which nothing is known."""

AMBIENT = 0.35


class RoomImages(NamedTuple):
    """Rendered scenes.

    Attributes:
        image: float32 `[n, height, width, 3]` in [0, 1], without noise.
        segmentation: int32 `[n, height, width]`, `VOID` where unknown.
        depth: float32 `[n, height, width, 1]`, 0 where unknown.
        normal: float32 `[n, height, width, 3]`, 0 where unknown.
    """

    image: np.ndarray
    segmentation: np.ndarray
    depth: np.ndarray
    normal: np.ndarray


def pixel_directions(height: int, width: int) -> np.ndarray:
    """Returns x and y at depth 1 of the centres of pixels, `[2, pixels]`.

    Multiplied by the depth, with the depth itself as z, they are the points
    that the pixels show, in the frame of the camera.
    """
    focal = 0.5 * width / np.tan(np.deg2rad(FIELD_OF_VIEW) / 2)
    x = (np.arange(width) + 0.5 - width / 2) / focal
    y = (np.arange(height) + 0.5 - height / 2) / focal
    return np.stack([it.ravel() for it in np.meshgrid(x, y)])


def render_rooms(scenes: RoomScenes, height: int, width: int) -> RoomImages:
    """Renders scenes; the cost is that of all pixels times all objects."""
    x, y = pixel_directions(height, width)
    # z is 1, so that the distance along a ray is its depth.
    pixels = np.stack([x, y, np.ones_like(x)])
    directions = tuple(np.moveaxis(scenes.rotation @ pixels, 1, 0))
    hits = cast_rays(scenes, directions)
    image = _shade(scenes, hits, directions)
    normal = np.stack(hits.normal, axis=1)
    normal = np.swapaxes(scenes.rotation, 1, 2) @ normal
    shape = (len(scenes), height, width)
    depth = hits.distance.reshape(shape)
    surface = hits.surface.reshape(shape)
    known = _is_known(depth, surface)
    label = LABELS[surface]
    as_pixels = np.moveaxis(normal, 1, 2).reshape(*shape, 3)
    return RoomImages(
        np.moveaxis(image, 1, 2).reshape(*shape, 3).astype("float32"),
        np.where(known, label, VOID).astype("int32"),
        np.where(known, depth, 0.0)[..., None].astype("float32"),
        np.where(known[..., None], as_pixels, 0.0).astype("float32"),
    )


def _is_known(depth, surface):
    """Not too far, and not in the shadow of an edge, as depth cameras see."""
    known = depth <= MAX_DEPTH
    for axis in (1, 2):
        shown = np.moveaxis(known, axis, 0)
        deep = np.moveaxis(depth, axis, 0)
        number = np.moveaxis(surface, axis, 0)
        here, there = slice(None, -1), slice(1, None)
        for one, other in ((here, there), (there, here)):
            # Only objects have edges that hide something: planes that are
            # seen at a small angle are not behind one.
            is_behind = (
                (deep[one] > JUMP * deep[other])
                & (number[other] >= NUM_ROOM_SURFACES)
                & (number[one] != number[other])
            )
            # A view: this is written to `known`.
            shown[one] &= ~is_behind
    return known


def _shade(scenes: RoomScenes, hits: Hits, directions) -> np.ndarray:
    """Colours `[n, 3, rays]`: a pattern in the light of a lamp."""

    def of_surface(values):
        return np.take_along_axis(values, hits.surface, axis=1)

    waves = 1.0
    for axis, coordinate in enumerate(hits.point):
        frequency = of_surface(scenes.frequency[..., axis])
        waves = waves * np.cos(frequency * coordinate)
    share = np.clip(0.5 + of_surface(scenes.contrast) * waves, 0.0, 1.0)
    light = _light(scenes, hits, directions)
    channels = []
    for channel in range(3):
        first = of_surface(scenes.colour[:, :, 0, channel])
        second = of_surface(scenes.colour[:, :, 1, channel])
        channels.append(light * (first + share * (second - first)))
    return np.clip(np.stack(channels, axis=1), 0.0, 1.0)


def _light(scenes, hits, directions):
    """Falls with the angle to the lamp, and with the distance from it."""
    to_lamp = [
        scenes.light[:, axis, None] - hits.distance * it
        for axis, it in enumerate(directions)
    ]
    squared = sum(it * it for it in to_lamp)
    cosine = sum(
        it * n for it, n in zip(to_lamp, hits.normal, strict=True)
    ) / np.sqrt(squared)
    return AMBIENT + np.maximum(cosine, 0.0) / (1.0 + 0.06 * squared)
