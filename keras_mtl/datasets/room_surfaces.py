"""Where rays meet the surfaces of rooms, and how these are inclined."""

from typing import NamedTuple

import numpy as np

from keras_mtl.datasets.room_scenes import LABELS
from keras_mtl.datasets.room_scenes import NUM_OBJECTS
from keras_mtl.datasets.room_scenes import NUM_ROOM_SURFACES
from keras_mtl.datasets.room_scenes import RoomScenes

#: The coordinates of points or directions, each of the same shape.
Vectors = tuple[np.ndarray, np.ndarray, np.ndarray]

TINY = 1e-12
"""In place of 0 where a ray is parallel to a surface."""


class Hits(NamedTuple):
    """What the rays of `n` scenes meet first.

    Attributes:
        distance: `[n, rays]`, in lengths of the ray's direction.
        surface: `[n, rays]`, the number of the surface.
        normal: Unit normals, towards the camera, in the frame of the world.
        point: Where, in the frame of the object.
    """

    distance: np.ndarray
    surface: np.ndarray
    normal: Vectors
    point: Vectors


def cast_rays(scenes: RoomScenes, directions: Vectors) -> Hits:
    """Returns what rays from the camera meet first.

    Args:
        scenes: `n` scenes.
        directions: Coordinates `[n, rays]` in the frame of the world.
    """
    x, y, z = (np.where(np.abs(it) < TINY, TINY, it) for it in directions)
    directions = x, y, z
    distance, axis = _meet_room(scenes, directions)
    # Axis 1 has the ceiling at its low end, and the floor at its high end.
    surface = np.where(axis == 1, np.where(directions[1] > 0, 0, 2), 1)
    for number in range(NUM_OBJECTS):
        found = _meet_object(scenes, number, directions)
        nearer = found < distance
        distance = np.where(nearer, found, distance)
        surface = np.where(nearer, NUM_ROOM_SURFACES + number, surface)
    point, angle, half = _in_frame_of_object(
        scenes, surface, tuple(distance * it for it in directions)
    )
    local = _turned(_normals(surface, axis, point, half, directions), angle)
    return Hits(distance, surface, local, point)


def _meet_room(scenes, directions):
    """From inside: the first of the walls ahead of the ray."""
    exits = np.stack(
        [
            np.where(
                it > 0,
                scenes.room_high[:, axis, None],
                scenes.room_low[:, axis, None],
            )
            / it
            for axis, it in enumerate(directions)
        ]
    )
    axis = exits.argmin(axis=0)
    return exits.min(axis=0), axis


def _meet_object(scenes, number, directions):
    """Distances to an object of each scene, infinite where it is missed."""
    kind = LABELS[NUM_ROOM_SURFACES + number]
    centre = [it[:, None] for it in scenes.centre[:, number].T]
    half = [it[:, None] for it in scenes.half[:, number].T]
    meet = {3: _meet_box, 4: _meet_sphere, 5: _meet_cylinder}[kind]
    if kind == 3:
        angle = -scenes.angle[:, number, None]
        centre = _turned(centre, angle)
        directions = _turned(directions, angle)
    found = meet(centre, half, directions)
    seen = scenes.present[:, number, None] & (found > 0)
    return np.where(seen, found, np.inf)


def _meet_box(centre, half, directions):
    near, far = -np.inf, np.inf
    for middle, extent, it in zip(centre, half, directions, strict=True):
        first = (middle - extent) / it
        second = (middle + extent) / it
        near = np.maximum(near, np.minimum(first, second))
        far = np.minimum(far, np.maximum(first, second))
    return np.where(near < far, near, np.inf)


def _meet_sphere(centre, half, directions):
    return _nearer_root(
        sum(it * it for it in directions),
        sum(m * it for m, it in zip(centre, directions, strict=True)),
        sum(m * m for m in centre) - half[0] ** 2,
    )


def _meet_cylinder(centre, half, directions):
    """The side, or the disc on top."""
    x, y, z = directions
    side = _nearer_root(
        x * x + z * z,
        centre[0] * x + centre[2] * z,
        centre[0] ** 2 + centre[2] ** 2 - half[0] ** 2,
    )
    side = np.where(np.abs(side * y - centre[1]) <= half[1], side, np.inf)
    top = (centre[1] - half[1]) / y
    off = (top * x - centre[0]) ** 2 + (top * z - centre[2]) ** 2
    top = np.where((top > 0) & (off <= half[0] ** 2), top, np.inf)
    return np.minimum(side, top)


def _nearer_root(square, linear, constant):
    """The smaller t with `square t^2 - 2 linear t + constant = 0`."""
    inside = linear * linear - square * constant
    root = np.sqrt(np.maximum(inside, 0.0))
    return np.where(inside > 0, (linear - root) / square, np.inf)


def _turned(vectors, angle):
    """Turns vectors about the vertical, from z towards x."""
    x, y, z = vectors
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * x + sine * z, y, cosine * z - sine * x


def _in_frame_of_object(scenes, surface, points):
    """Returns points in the frames of what they are on, and these frames."""

    def of_surface(per_object):
        # The room's own surfaces come first, in the frame of the world.
        room = np.zeros((len(scenes), NUM_ROOM_SURFACES))
        return np.take_along_axis(
            np.concatenate([room, per_object], axis=1), surface, axis=1
        )

    angle = of_surface(scenes.angle)
    centre = [of_surface(scenes.centre[..., axis]) for axis in range(3)]
    half = [of_surface(scenes.half[..., axis]) for axis in range(3)]
    moved = tuple(p - c for p, c in zip(points, centre, strict=True))
    return _turned(moved, -angle), angle, half


def _normals(surface, room_axis, point, half, directions):
    """Unit normals in the frame of the object."""
    kind = LABELS[surface]
    is_room = surface < NUM_ROOM_SURFACES
    # A plane across an axis: of the room, of a box, on top of a cylinder.
    share = [
        np.abs(p) / np.maximum(h, TINY)
        for p, h in zip(point, half, strict=True)
    ]
    axis = np.where(is_room, room_axis, np.argmax(np.stack(share), axis=0))
    on_top = (kind == 5) & (share[1] >= 1.0 - 1e-9)
    axis = np.where(on_top, 1, axis)
    is_round = (kind == 4) | ((kind == 5) & ~on_top)
    radius = np.maximum(half[0], TINY)
    normals = []
    for number in range(3):
        outwards = np.sign(point[number])
        outwards = np.where(is_room, -np.sign(directions[number]), outwards)
        flat = np.where(axis == number, outwards, 0.0)
        curved = point[number] / radius
        if number == 1:
            curved = np.where(kind == 5, 0.0, curved)
        normals.append(np.where(is_round, curved, flat))
    return tuple(normals)
