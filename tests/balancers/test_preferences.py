"""COSMOS and PBI, which pull the losses towards a direction."""

import numpy as np
import pytest

from keras_mtl import balancers
from tests.backend_tools import numpy
from tests.balancers.tools import call
from tests.balancers.tools import check
from tests.balancers.tools import published
from tests.balancers.tools import ramp


@pytest.mark.parametrize("lamda", [0.0, 0.5, 2.0])
def test_published_values_of_cosmos(lamda):
    count = 0
    for group, inputs, get in published(f"torchjd.COSMOS.l{lamda}"):
        for row, losses in enumerate(inputs("L")):
            balancer = balancers.COSMOS(ramp(len(losses)), lamda)
            weights = call(balancer, losses)
            check(weights, get("grad")[row], f"{lamda} {group} {row}")
            count += 1
    assert count == 32


@pytest.mark.parametrize("theta", [0.0, 5.0])
@pytest.mark.parametrize("shifted", [False, True])
def test_published_values_of_pbi(theta, shifted):
    count = 0
    variant = f"torchjd.PBI.t{theta}" + (".ref" if shifted else "")
    for group, inputs, get in published(variant):
        for row, losses in enumerate(inputs("L")):
            size = len(losses)
            reference = np.linspace(0, 0.05, size) if shifted else None
            balancer = balancers.PBI(ramp(size), theta, reference)
            weights = call(balancer, losses)
            check(weights, get("grad")[row], f"{variant} {group} {row}")
            count += 1
    assert count == 32


@pytest.mark.parametrize("make", [balancers.COSMOS, balancers.PBI])
@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e15])
def test_losses_on_the_ray_are_not_turned(make, scale):
    losses = scale * np.array([1.0, 2.0, 3.0]) / 7
    weights = numpy(call(make(weights=[1.0, 2.0, 3.0]), losses))
    expected = np.array([1.0, 2.0, 3.0])
    if make is balancers.PBI:
        expected = expected / np.linalg.norm(expected)
        # What rounding leaves of a distance weighs a tenth at most.
        np.testing.assert_allclose(weights, expected, atol=0.1 * 5)
    elif scale >= 1:
        np.testing.assert_allclose(weights, expected, rtol=1e-5)


@pytest.mark.parametrize("make", [balancers.COSMOS, balancers.PBI])
def test_the_turn_is_across_the_losses_or_the_ray(make):
    generator = np.random.default_rng(0)
    for _ in range(5):
        losses, aim = np.exp(generator.normal(size=(2, 4)))
        weights = numpy(call(make(aim), losses))
        if make is balancers.COSMOS:
            across, turn = losses, weights - aim
        else:
            ray = aim / np.linalg.norm(aim)
            across, turn = ray, weights - ray
            np.testing.assert_allclose(np.linalg.norm(turn), 5.0, rtol=1e-5)
        assert abs(turn @ across) < 1e-5 * np.linalg.norm(turn)
        assert np.linalg.norm(turn) > 1e-3


def test_pbi_does_not_depend_on_the_scale():
    losses = np.array([0.3, 1.0, 2.0])
    expected = numpy(call(balancers.PBI(), losses))
    for scale in (1e-15, 1e15):
        weights = numpy(call(balancers.PBI(), scale * losses))
        np.testing.assert_allclose(weights, expected, rtol=1e-5)


@pytest.mark.parametrize("make", [balancers.COSMOS, balancers.PBI])
def test_only_tasks_without_preference_left(make):
    weights = call(make([0.0, 1.0, 0.0]), [0.5, 1.0, 2.0], [1, 0, 1])
    assert np.isfinite(numpy(weights)).all()


@pytest.mark.parametrize("make", [balancers.COSMOS, balancers.PBI])
@pytest.mark.parametrize("weights", [[-1.0, 1.0], [0.0, 0.0], [[1.0]], []])
def test_wrong_weights(make, weights):
    with pytest.raises(ValueError, match="Received: weights="):
        make(weights)


@pytest.mark.parametrize(
    "make, arguments, message",
    [
        (balancers.COSMOS, {"lamda": -1.0}, "lamda=-1.0"),
        (balancers.PBI, {"theta": -1.0}, "theta=-1.0"),
        (balancers.PBI, {"reference": [float("inf")]}, "reference="),
    ],
)
def test_wrong_arguments(make, arguments, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        make(**arguments)


@pytest.mark.parametrize("make", [balancers.COSMOS, balancers.PBI])
def test_wrong_sizes(make):
    with pytest.raises(ValueError, match="2 entries for 3 tasks"):
        call(make([1.0, 1.0]), [1.0, 1.0, 1.0])
