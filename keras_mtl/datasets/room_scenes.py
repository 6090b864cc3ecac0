"""Rooms with boxes, balls and columns, drawn at random."""

import dataclasses

import numpy as np

NUM_BOXES = 4
NUM_SPHERES = 3
NUM_CYLINDERS = 3
NUM_OBJECTS = NUM_BOXES + NUM_SPHERES + NUM_CYLINDERS

# What a surface is: its label.
CLASSES = ("floor", "wall", "ceiling", "box", "sphere", "cylinder")
NUM_ROOM_SURFACES = 3
NUM_SURFACES = NUM_ROOM_SURFACES + NUM_OBJECTS

# The surfaces of objects have the numbers from NUM_ROOM_SURFACES on.
LABELS = np.array(
    [0, 1, 2] + [3] * NUM_BOXES + [4] * NUM_SPHERES + [5] * NUM_CYLINDERS
)

CLEARANCE = 0.9
"""Metres between the camera and the nearest object."""


@dataclasses.dataclass(frozen=True)
class RoomScenes:
    """Parameters of many scenes, the number of the scene first.

    Metres, in the frame of the world: the camera at 0, x to the right, y
    down, z ahead, before the camera turns. Objects come in the order boxes,
    spheres, cylinders; they stand on the floor.

    Attributes:
        room_low: `[n, 3]`, lowest coordinates of the room.
        room_high: `[n, 3]`, highest ones; the floor is at `room_high[:, 1]`.
        rotation: `[n, 3, 3]`, takes directions of the camera to the world.
        light: `[n, 3]`, where the lamp is.
        present: `[n, objects]`, whether there is such an object.
        centre: `[n, objects, 3]`.
        half: `[n, objects, 3]`, half the extents: of a sphere three times its
            radius, of a cylinder radius, half its height, radius.
        angle: `[n, objects]`, by which a box is turned about the vertical.
        colour: `[n, surfaces, 2, 3]`, two colours of each surface in [0, 1].
        frequency: `[n, surfaces, 3]`, of its pattern, in radians per metre.
        contrast: `[n, surfaces]`, from a smooth pattern to one of two colours.
    """

    room_low: np.ndarray
    room_high: np.ndarray
    rotation: np.ndarray
    light: np.ndarray
    present: np.ndarray
    centre: np.ndarray
    half: np.ndarray
    angle: np.ndarray
    colour: np.ndarray
    frequency: np.ndarray
    contrast: np.ndarray

    def __len__(self) -> int:
        return len(self.room_low)

    def take(self, rows: np.ndarray) -> "RoomScenes":
        """Returns some of the scenes."""
        return RoomScenes(
            **{
                field.name: getattr(self, field.name)[rows]
                for field in dataclasses.fields(self)
            }
        )


class _Numbers:
    """Hands out random numbers; each scene has a row of its own."""

    def __init__(self, generator: np.random.Generator, num_scenes: int):
        # Scene by scene: the first ones do not depend on how many there are.
        self.rows = generator.random((num_scenes, _NUMBERS_PER_SCENE))
        self.place = 0

    def __call__(self, low, high, *shape):
        size = int(np.prod(shape))
        numbers = self.rows[:, self.place : self.place + size]
        self.place += size
        return low + (high - low) * numbers.reshape(len(numbers), *shape)


_NUMBERS_PER_SCENE = 6 + 2 + 2 + 8 * NUM_OBJECTS + 11 * NUM_SURFACES


def draw_scenes(generator: np.random.Generator, num_scenes: int) -> RoomScenes:
    """Draws rooms, each with some objects ahead of the camera."""
    draw = _Numbers(generator, num_scenes)
    low, high = _draw_room(draw)
    rotation, yaw = _draw_camera(draw)
    light = np.stack(
        [*np.moveaxis(draw(-1.0, 1.5, 2), 1, 0), low[:, 1] + 0.2], axis=1
    )[:, [0, 2, 1]]
    objects = _draw_objects(draw, low, high, yaw)
    return RoomScenes(
        room_low=low,
        room_high=high,
        rotation=rotation,
        light=light,
        **objects,
        **_draw_textures(draw),
    )


def _draw_room(draw):
    left, right, ahead = np.moveaxis(draw(0.0, 1.0, 3), 1, 0)
    behind, height, camera = np.moveaxis(draw(0.0, 1.0, 3), 1, 0)
    camera = 1.2 + 0.6 * camera
    height = 2.4 + 0.8 * height
    low = np.stack([-1.2 - 2.3 * left, camera - height, -0.5 - behind], axis=1)
    high = np.stack([1.2 + 2.3 * right, camera, 3.0 + 4.5 * ahead], axis=1)
    return low, high


def _draw_camera(draw):
    """Turned to a side, then down."""
    yaw, pitch = np.moveaxis(draw(-1.0, 1.0, 2), 1, 0)
    yaw = np.deg2rad(35.0) * yaw
    pitch = np.deg2rad(8.0 + 12.0 * pitch)
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)
    turn = _matrices(
        [np.cos(yaw), zero, np.sin(yaw)],
        [zero, one, zero],
        [-np.sin(yaw), zero, np.cos(yaw)],
    )
    nod = _matrices(
        [one, zero, zero],
        [zero, np.cos(pitch), np.sin(pitch)],
        [zero, -np.sin(pitch), np.cos(pitch)],
    )
    return turn @ nod, yaw


def _matrices(*rows):
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _draw_objects(draw, low, high, yaw):
    chance = draw(0.0, 1.0, NUM_OBJECTS)
    distance = draw(1.5, 5.5, NUM_OBJECTS)
    side = draw(-0.55, 0.55, NUM_OBJECTS) + yaw[:, None]
    angle = draw(0.0, np.pi / 2, NUM_OBJECTS)
    size = draw(0.0, 1.0, NUM_OBJECTS, 3)
    spare = draw(0.0, 1.0, NUM_OBJECTS)
    kind = LABELS[NUM_ROOM_SURFACES:]
    radius = np.where(kind == 4, 0.15 + 0.4 * size[..., 0], 0.0)
    radius = np.where(kind == 5, 0.1 + 0.25 * size[..., 0], radius)
    is_box = (kind == 3)[:, None]
    half = np.where(
        is_box, [0.15, 0.15, 0.15] + [0.45, 0.6, 0.45] * size, radius[..., None]
    )
    tall = np.where(kind == 5, 0.2 + 0.6 * spare, half[..., 1])
    half = np.stack([half[..., 0], tall, half[..., 2]], axis=-1)
    # Inside of the room, as far as a corner of the object reaches.
    reach = np.hypot(half[..., 0], half[..., 2])
    x = _between(distance * np.sin(side), low[:, :1], high[:, :1], reach)
    z = _between(distance * np.cos(side), low[:, 2:], high[:, 2:], reach)
    centre = np.stack([x, high[:, 1:2] - half[..., 1], z], axis=-1)
    near = np.hypot(x, z) < CLEARANCE + reach
    return {
        "present": (chance < 0.6) & ~near,
        "centre": centre,
        "half": half,
        "angle": np.where(kind == 3, angle, 0.0),
    }


def _between(position, low, high, reach):
    return np.clip(position, low + reach, high - reach)


def _draw_textures(draw):
    first = draw(0.15, 0.95, NUM_SURFACES, 3)
    shift = draw(-0.4, 0.4, NUM_SURFACES, 3)
    frequency = draw(0.0, 1.0, NUM_SURFACES, 3)
    contrast = draw(0.0, 1.0, NUM_SURFACES)
    few = draw(0.0, 1.0, NUM_SURFACES)
    second = np.clip(first + shift, 0.0, 1.0)
    return {
        "colour": np.stack([first, second], axis=2),
        # Along some directions nothing changes: stripes.
        "frequency": np.where(
            frequency < few[..., None] / 2, 0.0, 2.0 + 14.0 * frequency
        ),
        "contrast": 0.3 * 20.0**contrast,
    }
