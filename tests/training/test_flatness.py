"""Flatness regularizers against steps put together by hand.

By hand means: weights are set to the perturbed point, the task gradients are
taken there by `model.task_gradients`, and NumPy does the rest.
"""

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl.solvers.namespace import HOST
from keras_mtl.solvers.random_numbers import random_normal
from training import toy

RATE = 0.1


def train(strategy, num_steps, **kwargs):
    """Makes some steps on different batches and returns the weights."""
    model = toy.make_model(**kwargs)
    toy.compiled(model, strategy, keras.optimizers.SGD(RATE))
    for x, y in batches(num_steps):
        toy.step(model, x, y)
    return dict(zip(paths(model), toy.weights(model), strict=True))


def batches(num_steps):
    for number in range(num_steps):
        yield toy.data(8, seed=number)


def paths(model):
    return [variable.path for variable in model.weights]


class ByHand:
    """A model whose gradients can be asked for at any weights."""

    def __init__(self):
        self.model = toy.compiled(toy.make_model())
        self.weights = dict(
            zip(paths(self.model), toy.weights(self.model), strict=True)
        )
        self.shared = [v.path for v in self.model.shared_variables]
        self.own = {
            task: [v.path for v in self.model.task_variables[task]]
            for task in self.model.tasks
        }

    def at(self, offsets, x, y):
        """Losses, and for each task its gradients by path."""
        for variable in self.model.weights:
            path = variable.path
            variable.assign(self.weights[path] + offsets.get(path, 0.0))
        losses, gradients = self.model.task_gradients(x, y)
        shared = toy.arrays(gradients.shared)
        by_task = []
        for k, task in enumerate(self.model.tasks):
            own = toy.arrays(gradients.own[task])
            by_task.append(
                {
                    **dict(
                        zip(self.shared, [s[k] for s in shared], strict=True)
                    ),
                    **dict(zip(self.own[task], own, strict=True)),
                }
            )
        return toy.arrays([losses])[0], by_task

    def move(self, update):
        for path, value in update.items():
            self.weights[path] = self.weights[path] - RATE * value


def norm(gradients, chosen):
    return np.sqrt(sum(np.sum(gradients[path] ** 2) for path in chosen))


def scaled(gradients, chosen, radius):
    size = norm(gradients, chosen)
    return {path: radius * gradients[path] / size for path in chosen}


def total(by_task):
    result = {}
    for gradients in by_task:
        for path, gradient in gradients.items():
            result[path] = result.get(path, 0.0) + gradient
    return result


def assert_equal(actual, expected):
    assert actual.keys() == expected.keys()
    for path in actual:
        np.testing.assert_allclose(
            actual[path], expected[path], rtol=2e-4, atol=2e-5, err_msg=path
        )


def sharp_gradients(hand, x, y, directions, radii):
    """Task gradients at points of their own."""
    result = []
    for k, task in enumerate(hand.model.tasks):
        offsets = scaled(directions[k], hand.shared, radii[k])
        offsets |= scaled(directions[k], hand.own[task], radii[k])
        _, by_task = hand.at(offsets, x, y)
        result.append(by_task[k])
    return result


def test_the_flat_part_is_used_again():
    rho = 0.3
    flatness = keras_mtl.flatness.TaskSAM(rho=rho, interval=2, reuse=True)
    actual = train(keras_mtl.Strategy(flatness=flatness, aggregator="sum"), 4)
    hand = ByHand()
    for number, (x, y) in enumerate(batches(4)):
        _, clean = hand.at({}, x, y)
        if number % 2 == 0:
            sharp = sharp_gradients(hand, x, y, clean, [rho, rho])
            flat = {
                path: gradient - total(clean)[path]
                for path, gradient in total(sharp).items()
            }
        update = total(clean)
        hand.move({path: update[path] + flat[path] for path in update})
    assert_equal(actual, hand.weights)


def test_radii_follow_the_gradient_norms():
    rho = 0.3
    flatness = keras_mtl.flatness.TaskSAM(rho=rho, scaling="gradient_norm")
    actual = train(keras_mtl.Strategy(flatness=flatness, aggregator="sum"), 3)
    hand = ByHand()
    for x, y in batches(3):
        _, clean = hand.at({}, x, y)
        norms = np.array([norm(gradients, hand.shared) for gradients in clean])
        radii = rho * 2 * norms / norms.sum()
        hand.move(total(sharp_gradients(hand, x, y, clean, radii)))
    assert_equal(actual, hand.weights)


def test_momentum_sam():
    rho, momentum = 0.3, 0.7
    flatness = keras_mtl.flatness.MomentumSAM(rho=rho, momentum=momentum)
    actual = train(keras_mtl.Strategy(flatness=flatness, aggregator="sum"), 4)
    hand = ByHand()
    velocity = {path: np.zeros_like(w) for path, w in hand.weights.items()}
    for number, (x, y) in enumerate(batches(4)):
        offsets = scaled(velocity, velocity, -rho) if number else {}
        _, by_task = hand.at(offsets, x, y)
        update = total(by_task)
        hand.move(update)
        for path in velocity:
            velocity[path] = momentum * velocity[path] + update[path]
    assert_equal(actual, hand.weights)


@pytest.mark.parametrize("shared_direction", [False, True])
def test_samo(shared_direction):
    rho, alpha, mu, seed = 0.3, 0.4, 0.02, 11
    flatness = keras_mtl.flatness.SAMO(
        rho, alpha, mu, shared_direction=shared_direction, seed=seed
    )
    actual = train(keras_mtl.Strategy(flatness=flatness, aggregator="sum"), 3)
    hand = ByHand()
    counter = 0
    for x, y in batches(3):
        _, clean = hand.at({}, x, y)
        joint = total(clean)
        directions = []
        for k in range(2):
            if k == 0 or not shared_direction:
                probe, start = {}, 0
                for path in hand.shared:
                    shape = hand.weights[path].shape
                    size = int(np.prod(shape))
                    numbers = random_normal(
                        HOST, np.array([seed, counter]), size, "float64", start
                    )
                    probe[path] = numbers.reshape(shape)
                    start += size
                counter += 1
            up, _ = hand.at({p: mu * z for p, z in probe.items()}, x, y)
            down, _ = hand.at({p: -mu * z for p, z in probe.items()}, x, y)
            estimate = {
                p: (up[k] - down[k]) / (2 * mu) * z for p, z in probe.items()
            }
            direction = dict(clean[k])
            for path, part in estimate.items():
                part = part * np.linalg.norm(joint[path]) / np.linalg.norm(part)
                direction[path] = alpha * joint[path] + (1 - alpha) * part
            directions.append(direction)
        hand.move(total(sharp_gradients(hand, x, y, directions, [rho, rho])))
    assert_equal(actual, hand.weights)


def test_samo_without_probes_is_a_joint_direction():
    # alpha=1: every task moves the shared weights along the joint gradient.
    actual = train(
        keras_mtl.strategies.SAMO("sum", rho=0.3, alpha=1.0, seed=0), 2
    )
    hand = ByHand()
    for x, y in batches(2):
        _, clean = hand.at({}, x, y)
        joint = total(clean)
        directions = [
            {**g, **{path: joint[path] for path in hand.shared}} for g in clean
        ]
        hand.move(total(sharp_gradients(hand, x, y, directions, [0.3, 0.3])))
    assert_equal(actual, hand.weights)


def test_only_normalization_variables_move():
    flatness = keras_mtl.flatness.TaskSAM(rho=0.3, variables="normalization")
    model = toy.make_model(batch_norm=True)
    moved = [v.name for v in model.weights if flatness.perturbs(v)]
    assert moved == ["gamma", "beta"]
    strategy = keras_mtl.Strategy(flatness=flatness, aggregator="sum")
    some = train(strategy, 2, batch_norm=True)
    every = train(
        keras_mtl.Strategy(
            flatness=keras_mtl.flatness.TaskSAM(rho=0.3), aggregator="sum"
        ),
        2,
        batch_norm=True,
    )
    none = train("ew", 2, batch_norm=True)
    for other in (every, none):
        assert max(np.abs(some[p] - other[p]).max() for p in some) > 1e-4


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: keras_mtl.flatness.TaskSAM(reuse=True), "`interval` > 1"),
        (
            lambda: keras_mtl.flatness.TaskSAM(
                reuse=True, interval=2, combine="direct"
            ),
            "`reuse`",
        ),
        (lambda: keras_mtl.flatness.TaskSAM(scaling="loss"), "`scaling`"),
        (lambda: keras_mtl.flatness.GlobalSAM(scaling="gradient_norm"), "one"),
        (lambda: keras_mtl.flatness.SAMO(alpha=1.5), "`alpha`"),
        (lambda: keras_mtl.flatness.SAMO(mu=0.0), "`mu`"),
        (lambda: keras_mtl.flatness.SAMO(seed=-1), "`seed`"),
        (lambda: keras_mtl.flatness.MomentumSAM(momentum=1.0), "`momentum`"),
        (lambda: keras_mtl.flatness.MomentumSAM(rho=-1.0), "`rho`"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras_mtl.flatness.SAMO(0.1, 0.2, 0.3, True, seed=4),
        lambda: keras_mtl.flatness.MomentumSAM(0.2, 0.5, "separate", True),
        lambda: keras_mtl.flatness.TaskSAM(
            0.2, interval=3, reuse=True, scaling="gradient_norm"
        ),
        lambda: keras_mtl.strategies.SAMO("mgda", alpha=0.1),
        lambda: keras_mtl.strategies.FSMTL("mgda", interval=2, reuse=True),
    ],
)
def test_configs(make):
    component = make()
    config = component.get_config()
    assert type(component).from_config(config).get_config() == config
