"""Rendered rooms against closed forms, and against their own geometry."""

import numpy as np
import pytest

from keras_mtl.datasets import load
from keras_mtl.datasets import rendered_rooms
from keras_mtl.datasets.room_images import pixel_directions
from keras_mtl.datasets.room_images import render_rooms
from keras_mtl.datasets.room_scenes import NUM_BOXES
from keras_mtl.datasets.room_scenes import NUM_OBJECTS
from keras_mtl.datasets.room_scenes import NUM_SPHERES
from keras_mtl.datasets.room_scenes import NUM_SURFACES
from keras_mtl.datasets.room_scenes import RoomScenes
from tests.datasets.prepared_check import check_prepared

FLOOR, WALL, CEILING, BOX, SPHERE, CYLINDER = range(6)

# float32 has 24 bits; positions have up to 7 metres.
CLOSE = {"rtol": 1e-6, "atol": 1e-6}


@pytest.fixture(scope="module")
def rooms():
    return rendered_rooms(num_train=48)


def scene(rotation=None, **objects):
    """An empty room, 5 m ahead, 1.5 m down, and perhaps one object."""
    number, centre, half, angle = objects.get("it", (0, [0] * 3, [0] * 3, 0))
    present = np.zeros((1, NUM_OBJECTS), dtype=bool)
    present[0, number] = "it" in objects
    every = np.ones((1, NUM_OBJECTS, 1))
    return RoomScenes(
        room_low=np.array([[-2.0, -1.0, -1.0]]),
        room_high=np.array([[2.0, 1.5, 5.0]]),
        rotation=np.eye(3)[None] if rotation is None else rotation[None],
        light=np.array([[0.0, -0.8, 1.0]]),
        present=present,
        centre=every * centre,
        half=every * half,
        angle=every[..., 0] * angle,
        colour=np.full((1, NUM_SURFACES, 2, 3), 0.5),
        frequency=np.zeros((1, NUM_SURFACES, 3)),
        contrast=np.ones((1, NUM_SURFACES)),
    )


def rendered(it, height=24, width=32):
    """One scene: label, depth, normal, and x and y at depth 1."""
    _, label, depth, normal = render_rooms(it, height, width)
    grid = pixel_directions(height, width).reshape(2, height, width)
    return label[0], depth[0, ..., 0], normal[0], grid


def test_directions_are_those_of_a_camera_of_70_degrees():
    grid = pixel_directions(3, 4).reshape(2, 3, 4)
    # The left edge is half a pixel farther out than the first centre.
    edge = -2 * (grid[0, 0, 1] - grid[0, 0, 0])
    np.testing.assert_allclose(edge, -np.tan(np.deg2rad(35)), rtol=1e-12)
    np.testing.assert_allclose(grid[1, 1], 0, atol=1e-12)
    assert grid[1, 2, 0] > 0 and grid[0, 0, 3] > 0


def test_an_empty_room_has_planes_at_their_places():
    label, depth, normal, (x, y) = rendered(scene())
    planes = {
        (FLOOR, (0, -1, 0)): np.where(y > 0, 1.5 / y, np.inf),
        (CEILING, (0, 1, 0)): np.where(y < 0, -1.0 / y, np.inf),
        (WALL, (-1, 0, 0)): np.where(x > 0, 2.0 / x, np.inf),
        (WALL, (1, 0, 0)): np.where(x < 0, -2.0 / x, np.inf),
        (WALL, (0, 0, -1)): np.full_like(x, 5.0),
    }
    expected = np.min(list(planes.values()), axis=0)
    np.testing.assert_allclose(depth, expected, **CLOSE)
    for (kind, direction), distance in planes.items():
        nearest = distance == expected
        assert nearest.any()
        assert np.all(label[nearest] == kind)
        np.testing.assert_array_equal(
            normal[nearest], np.broadcast_to(direction, (nearest.sum(), 3))
        )


def test_a_sphere_ahead():
    number = NUM_BOXES
    assert NUM_SPHERES > 0
    label, depth, normal, (x, y) = rendered(
        scene(it=(number, [0, 0, 3.0], [0.5] * 3, 0)), 33, 33
    )
    # Along the axis, the front of the sphere.
    np.testing.assert_allclose(depth[16, 16], 2.5, **CLOSE)
    np.testing.assert_allclose(normal[16, 16], [0, 0, -1], **CLOSE)
    on = label == SPHERE
    # Seen under an angle whose sine is radius / distance.
    inside = np.hypot(x, y) < np.tan(np.arcsin(0.5 / 3.0))
    assert on.sum() > 20
    # Void goes to what is behind, never to the sphere itself.
    np.testing.assert_array_equal(on, inside)
    point = depth[on][:, None] * np.stack([x, y, np.ones_like(x)], -1)[on]
    outwards = (point - [0, 0, 3.0]) / 0.5
    np.testing.assert_allclose(normal[on], outwards, rtol=0, atol=3e-6)
    np.testing.assert_allclose(np.linalg.norm(outwards, axis=1), 1.0, rtol=3e-6)


def test_a_turned_box_ahead():
    angle = np.deg2rad(45)
    label, depth, normal, (x, _) = rendered(
        scene(it=(0, [0, 1.0, 3.0], [0.5, 0.5, 0.5], angle)), 24, 33
    )
    sides = (label == BOX) & (normal[..., 1] == 0)
    # An edge is towards the camera: sides are z - |x| = 3 - sqrt(0.5).
    expected = (3.0 - np.sqrt(0.5)) / (1 - np.abs(x[sides]))
    np.testing.assert_allclose(depth[sides], expected, **CLOSE)
    half = np.sqrt(0.5)
    for side in (x < -0.01, x > 0.01):
        found = normal[sides & side]
        direction = [np.sign(x[side][0]) * half, 0, -half]
        assert len(found)
        np.testing.assert_allclose(
            found, np.broadcast_to(direction, found.shape), **CLOSE
        )


def test_a_box_seen_from_above():
    label, depth, normal, (_, y) = rendered(
        scene(it=(0, [0, 1.25, 3.0], [0.5, 0.25, 0.5], 0.3)), 64, 64
    )
    top = (label == BOX) & (normal[..., 1] == -1)
    assert top.sum() > 10
    np.testing.assert_allclose(depth[top], 1.0 / y[top], **CLOSE)


def test_a_cylinder_ahead():
    number = NUM_BOXES + NUM_SPHERES
    label, depth, normal, (x, y) = rendered(
        scene(it=(number, [0, 1.0, 2.0], [0.4, 0.5, 0.4], 0)), 65, 65
    )
    top = (label == CYLINDER) & (normal[..., 1] == -1)
    side = (label == CYLINDER) & (normal[..., 1] == 0)
    assert top.sum() > 10 and side.sum() > 10
    assert np.all(top | side | (label != CYLINDER))
    np.testing.assert_allclose(depth[top], 0.5 / y[top], **CLOSE)
    off = np.hypot(depth * x, depth - 2.0)
    assert np.all(off[top] <= 0.4 + 1e-6)
    np.testing.assert_allclose(off[side], 0.4, rtol=3e-6)
    outwards = np.stack(
        [(depth * x)[side] / 0.4, 0 * x[side], (depth[side] - 2) / 0.4], -1
    )
    np.testing.assert_allclose(normal[side], outwards, rtol=0, atol=3e-6)


def test_a_camera_that_looks_down():
    pitch = np.deg2rad(40)
    cosine, sine = np.cos(pitch), np.sin(pitch)
    down = np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    label, depth, normal, (_, y) = rendered(scene(down))
    floor = label == FLOOR
    assert floor.sum() > 100
    # In the frame of the camera the floor's normal is tilted.
    np.testing.assert_allclose(
        normal[floor],
        np.broadcast_to([0, -cosine, -sine], (floor.sum(), 3)),
        **CLOSE,
    )
    # The plane is 1.5 m away: -n . p = 1.5.
    expected = 1.5 / (cosine * y[floor] + sine)
    np.testing.assert_allclose(depth[floor], expected, **CLOSE)


def test_what_is_too_far_or_behind_an_edge_is_unknown():
    far = scene()
    far.room_high[:, 2] = 7.5
    label, *_ = rendered(far)
    assert np.any(label == -1) and not np.any(label[0] == -1)
    label, depth, *_ = rendered(
        scene(it=(NUM_BOXES, [0, 0, 2.0], [0.5] * 3, 0)), 33, 33
    )
    ball = label == SPHERE
    ring = np.zeros_like(ball)
    for axis in (0, 1):
        for step in (-1, 1):
            ring |= np.roll(ball, step, axis)
    # The wall behind is at more than twice the depth.
    np.testing.assert_array_equal(label == -1, ring & ~ball)


def test_light_falls_with_the_distance_from_the_lamp():
    it = scene(it=(NUM_BOXES, [0, 0, 3.0], [0.5] * 3, 0))
    image, label, depth, normal = (a[0] for a in render_rooms(it, 33, 33))
    x, y = pixel_directions(33, 33).reshape(2, 33, 33)
    place = (13, 16)
    assert label[place] == SPHERE
    point = depth[place] * np.array([x[place], y[place], 1.0])
    to_lamp = it.light[0] - point
    distance = np.linalg.norm(to_lamp)
    cosine = to_lamp @ normal[place] / distance
    light = 0.35 + max(cosine, 0) / (1 + 0.06 * distance**2)
    np.testing.assert_allclose(image[place], 0.5 * light, rtol=1e-5)


def test_shapes_types_and_ranges(rooms):
    x, y = rooms
    assert x.shape == (48, 64, 64, 3) and x.dtype == np.float32
    assert x.min() >= 0 and x.max() <= 1
    assert list(y) == ["segmentation", "depth", "normal"]
    assert y["segmentation"].shape == (48, 64, 64)
    assert y["segmentation"].dtype == np.int32
    assert y["depth"].shape == (48, 64, 64, 1)
    assert y["normal"].shape == (48, 64, 64, 3)
    assert y["depth"].dtype == y["normal"].dtype == np.float32


def test_the_unknown_is_the_same_to_all_tasks(rooms):
    _, y = rooms
    unknown = y["segmentation"] == -1
    np.testing.assert_array_equal(unknown, y["depth"][..., 0] == 0)
    length = np.linalg.norm(y["normal"], axis=-1)
    np.testing.assert_array_equal(unknown, length == 0)
    np.testing.assert_allclose(length[~unknown], 1.0, rtol=1e-6)
    assert 0.5 < y["depth"][~unknown].min() and y["depth"].max() <= 7
    assert 0.005 < unknown.mean() < 0.1


def test_classes_are_all_there(rooms):
    labels = rooms[1]["segmentation"]
    share = np.bincount(labels[labels >= 0], minlength=6) / labels.size
    assert len(share) == 6 and share.min() > 0.015 and share.max() < 0.6
    shown = [np.mean(np.any(labels == it, axis=(1, 2))) for it in range(6)]
    assert min(shown) > 0.6


def test_normals_agree_with_the_points_that_depth_gives(rooms):
    _, y = rooms
    directions = pixel_directions(64, 64).reshape(2, 64, 64)
    rays = np.stack([*directions, np.ones((64, 64))], axis=-1)
    points = y["depth"].astype("float64") * rays
    right = points[:, 1:-1, 2:] - points[:, 1:-1, :-2]
    down = points[:, 2:, 1:-1] - points[:, :-2, 1:-1]
    # x right and y down: down x right is towards the camera.
    found = np.cross(down, right)
    found /= np.maximum(np.linalg.norm(found, axis=-1, keepdims=True), 1e-12)
    normal = y["normal"]
    here = normal[:, 1:-1, 1:-1]
    # Planes: all five pixels have the same normal, and are on one surface.
    flat = np.ones(here.shape[:-1], dtype=bool)
    offset = np.sum(normal * points, axis=-1)
    for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
        window = (
            slice(None),
            slice(rows, rows + 62),
            slice(columns, columns + 62),
        )
        flat &= np.all(normal[window] == here, axis=-1)
        flat &= np.abs(offset[window] - offset[:, 1:-1, 1:-1]) < 1e-4
    flat &= y["segmentation"][:, 1:-1, 1:-1] >= 0
    assert flat.mean() > 0.6
    cosine = np.sum(found * here, axis=-1)[flat]
    # Depth is rounded to 24 bits, and differences are of centimetres.
    assert cosine.min() > 1 - 1e-5
    # Balls are curved: a difference over two pixels is off by some degrees.
    ball = y["segmentation"] == SPHERE
    inner = ball[:, 1:-1, 1:-1].copy()
    for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
        inner &= ball[:, rows : rows + 62, columns : columns + 62]
    cosine = np.sum(found * here, axis=-1)[inner]
    assert len(cosine) > 500
    assert np.median(cosine) > np.cos(np.deg2rad(5))


def test_normals_are_towards_the_camera(rooms):
    _, y = rooms
    directions = pixel_directions(64, 64).reshape(2, 64, 64)
    rays = np.stack([*directions, np.ones((64, 64))], axis=-1)
    known = y["segmentation"] >= 0
    assert np.sum(y["normal"] * rays, axis=-1)[known].max() < 0


def test_seed_decides_everything(rooms):
    first = rendered_rooms(num_train=3)
    # The first images are the same however many there are.
    np.testing.assert_array_equal(first[0], rooms[0][:3])
    np.testing.assert_array_equal(first[1]["depth"], rooms[1]["depth"][:3])
    for other in (
        rendered_rooms(num_train=3, seed=1),
        rendered_rooms("test", num_test=3),
    ):
        assert np.all(np.any(other[1]["depth"] != first[1]["depth"], (1, 2, 3)))


def test_samples_do_not_depend_on_the_batch(rooms):
    batches = load(
        "rendered_rooms",
        backend_native="pydataset",
        num_train=48,
        batch_size=7,
        shuffle=False,
    )
    x, y = batches[3]
    np.testing.assert_array_equal(x, rooms[0][21:28])
    np.testing.assert_array_equal(y["normal"], rooms[1]["normal"][21:28])


def test_images_have_the_size_that_is_asked_for():
    x, y = rendered_rooms("test", num_test=2, image_size=(12, 20))
    assert x.shape == (2, 12, 20, 3)
    assert y["segmentation"].shape == (2, 12, 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 64}, "`image_size` must be height and width"),
        ({"image_size": (64, 0)}, "`image_size` must be an integer, at least"),
        ({"num_train": 0}, "`num_train` must be an integer"),
        ({"seed": None}, "`seed` must be an integer"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        rendered_rooms(**options)


def test_files_hold_the_same(tmp_path):
    check_prepared(
        "rendered_rooms",
        tmp_path,
        num_train=3,
        num_test=2,
        image_size=(8, 10),
    )
