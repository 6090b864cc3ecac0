import numpy as np
import pytest

from keras_mtl import balancers
from tests.backend_tools import numpy
from tests.balancers.tools import call
from tests.balancers.tools import check
from tests.balancers.tools import published


@pytest.mark.parametrize("steps_per_epoch", [None, 2])
def test_published_values_of_epochs_of_two_batches(steps_per_epoch):
    count = 0
    for group, inputs, get in published("torchjd.DWA"):
        balancer = balancers.DWA(steps_per_epoch=steps_per_epoch)
        for epoch, batches in enumerate(inputs("L_batches")):
            for batch, losses in enumerate(batches):
                weights = call(balancer, losses)
                label = f"{group} {epoch} {batch}"
                check(weights, get("grad")[epoch, batch], label)
                count += 1
            balancer.end_epoch()
    assert count == 64


@pytest.mark.parametrize("steps_per_epoch", [None, 1])
def test_published_values_of_epochs_of_one_batch(steps_per_epoch):
    count = 0
    for group, inputs, get in published("LibMTL.DWA"):
        balancer = balancers.DWA(steps_per_epoch=steps_per_epoch)
        for row, losses in enumerate(inputs("L")):
            weights = call(balancer, losses)
            check(weights, get("grad")[row], f"{group} {row}")
            balancer.end_epoch()
            count += 1
    assert count == 32


def test_published_values_of_windows():
    # There the window slides, ends with the step itself, and the weights are
    # divided by K: in every second step it is the last two whole epochs of
    # the steps that follow.
    count = 0
    for group, inputs, get in published("nashmtl.DynamicWeightAverage.w2"):
        losses = inputs("L")
        balancer = balancers.DWA(steps_per_epoch=2)
        weights = [call(balancer, row) for row in [*losses, losses[0]]]
        for row in range(4):
            np.testing.assert_array_equal(numpy(weights[row]), 1.0)
        for row in (3, 5, 7):
            expected = get("grad")[row] * losses.shape[1]
            # Its history is in float32.
            check(weights[row + 1], expected, f"{group} {row}", 1e-6)
            count += 1
    assert count == 12


def test_epochs_of_another_length_end_where_told():
    balancer = balancers.DWA()
    for losses in ([1.0, 4.0], [3.0, 4.0]):
        call(balancer, losses)
    balancer.end_epoch()
    call(balancer, [1.0, 2.0])
    balancer.end_epoch()
    shares = np.exp(np.array([0.5, 0.5]) / 2)
    expected = 2 * shares / shares.sum()
    np.testing.assert_allclose(
        numpy(call(balancer, [9.0, 9.0])), expected, rtol=1e-6
    )
    # Nothing happened since the end of an epoch, or before the first step.
    balancer = balancers.DWA()
    balancer.end_epoch()
    assert not balancer.built
    call(balancer, [1.0, 4.0])
    balancer.end_epoch()
    before = [numpy(variable.value) for variable in balancer.variables]
    balancer.end_epoch()
    for old, variable in zip(before, balancer.variables, strict=True):
        np.testing.assert_array_equal(numpy(variable.value), old)


def test_an_epoch_without_a_task_does_not_count_for_it():
    balancer = balancers.DWA()
    for losses, mask in (
        ([1.0, 2.0], [1, 1]),
        ([0.5, 9.0], [1, 0]),
        ([0.4, 1.0], [1, 1]),
    ):
        call(balancer, losses, mask)
        balancer.end_epoch()
    shares = np.exp(np.array([0.8, 0.5]) / 2)
    np.testing.assert_allclose(
        numpy(call(balancer, [1.0, 1.0])), 2 * shares / shares.sum(), rtol=1e-6
    )


def test_a_new_task_has_rate_one():
    balancer = balancers.DWA(temperature=1.0)
    for losses, mask in (
        ([1.0, 0.0], [1, 0]),
        ([0.5, 2.0], [1, 1]),
    ):
        call(balancer, losses, mask)
        balancer.end_epoch()
    shares = np.exp([0.5, 1.0])
    np.testing.assert_allclose(
        numpy(call(balancer, [1.0, 1.0])), 2 * shares / shares.sum(), rtol=1e-6
    )


def test_a_low_temperature_picks_the_slowest():
    balancer = balancers.DWA(temperature=1e-30)
    for losses in ([1.0, 1.0, 1.0], [0.5, 0.9, 0.6]):
        call(balancer, losses)
        balancer.end_epoch()
    np.testing.assert_array_equal(
        numpy(call(balancer, [1.0, 1.0, 1.0])), [0.0, 3.0, 0.0]
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"temperature": -1}, "temperature=-1"),
        ({"temperature": None}, "temperature=None"),
        ({"steps_per_epoch": 0}, "steps_per_epoch=0"),
        ({"steps_per_epoch": 2.5}, "steps_per_epoch=2.5"),
        ({"steps_per_epoch": True}, "steps_per_epoch=True"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        balancers.DWA(**arguments)
