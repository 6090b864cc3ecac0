import numpy as np
import pytest

from keras_mtl import balancers
from tests.backend_tools import numpy
from tests.balancers.tools import call
from tests.balancers.tools import check
from tests.balancers.tools import published
from tests.balancers.tools import ramp


@pytest.mark.parametrize("mu", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("aimed", [False, True])
def test_published_values(mu, aimed):
    count = 0
    variant = f"torchjd.STCH.mu{mu}" + (".wref" if aimed else "")
    for group, inputs, get in published(variant):
        for row, losses in enumerate(inputs("L")):
            size = len(losses)
            balancer = balancers.STCH(mu)
            if aimed:
                balancer = balancers.STCH(
                    mu, ramp(size), np.linspace(0, 0.05, size)
                )
            # In float32, losses of about 2 divided by mu are rounded.
            check(
                call(balancer, losses),
                get("grad")[row],
                f"{variant} {group} {row}",
                single=1e-6 + 1e-6 / mu,
            )
            count += 1
    assert count == 32


@pytest.mark.parametrize("mu", [0.1, 1.0])
@pytest.mark.parametrize("steps_per_epoch", [None, 2])
def test_published_values_with_warmup(mu, steps_per_epoch):
    count = 0
    for group, inputs, get in published(f"LibMTL.STCH.mu{mu}"):
        epochs = get("epoch")
        assert list(epochs) == [0, 1, 2, 2, 3, 3, 4, 4]
        losses, rows = inputs("L"), range(8)
        # Two epochs of one step, which come twice where all have two.
        if steps_per_epoch == 2:
            rows = [0, 0, 1, 1, 2, 3, 4, 5, 6, 7]
        balancer = balancers.STCH(
            mu, warmup_epochs=3, steps_per_epoch=steps_per_epoch
        )
        last = 0
        for row in rows:
            if epochs[row] != last:
                balancer.end_epoch()
                last = epochs[row]
            check(
                call(balancer, losses[row]),
                get("grad")[row],
                f"{group} {row}",
                single=1e-5 / mu,
            )
            count += 1
    assert count == 4 * len(rows)


def test_small_mu_is_the_weighted_maximum():
    balancer = balancers.STCH(1e-30, weights=[1.0, 2.0, 1.0])
    np.testing.assert_array_equal(
        numpy(call(balancer, [3.0, 2.0, 1.0])), [0.0, 2.0, 0.0]
    )


def test_large_mu_is_the_weighted_mean():
    balancer = balancers.STCH(1e8, weights=[1.0, 2.0, 1.0])
    np.testing.assert_allclose(
        numpy(call(balancer, [3.0, 2.0, 1.0])),
        np.array([1.0, 2.0, 1.0]) / 3,
        rtol=1e-6,
    )


def test_the_nadir_of_a_task_that_comes_late():
    balancer = balancers.STCH(1.0, warmup_epochs=1)
    call(balancer, [2.0, 5.0], [1, 0])
    balancer.end_epoch()
    # Its own loss stands in for the nadir.
    first = numpy(call(balancer, [1.0, 4.0]))
    np.testing.assert_allclose(
        first, 2 * np.array([0.5, 1.0]) / 1.5 / [1.0, 4.0], rtol=1e-6
    )
    balancer.end_epoch()
    np.testing.assert_allclose(numpy(balancer.nadir.value), [2.0, 4.0])
    second = numpy(call(balancer, [1.0, 8.0]))
    np.testing.assert_allclose(
        second, 2 * np.array([0.5, 2.0]) / 2.5 / [1.0, 8.0], rtol=1e-6
    )
    balancer.end_epoch()
    np.testing.assert_allclose(numpy(balancer.nadir.value), [2.0, 4.0])


def test_warmup_does_not_depend_on_units():
    balancer, other = (balancers.STCH(0.5, warmup_epochs=1) for _ in range(2))
    units = np.array([1.0, 100.0])
    for losses in ([2.0, 3.0], [1.0, 2.0], [0.5, 0.7]):
        np.testing.assert_allclose(
            numpy(call(balancer, losses)),
            numpy(call(other, losses * units)) * units,
            rtol=1e-5,
        )
        balancer.end_epoch()
        other.end_epoch()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"mu": 0.0}, "mu=0.0"),
        ({"mu": float("inf")}, "mu=inf"),
        ({"weights": [1.0, -1.0]}, "weights="),
        ({"weights": [0.0, 0.0]}, "weights="),
        ({"weights": 1.0}, "weights="),
        ({"reference": [float("nan")]}, "reference="),
        ({"warmup_epochs": 0}, "warmup_epochs=0"),
        (
            {"warmup_epochs": 2, "reference": [0.0]},
            r"reference=\[0.0\], warmup_epochs=2",
        ),
        ({"steps_per_epoch": 5}, "steps_per_epoch=5, warmup_epochs=None"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        balancers.STCH(**arguments)


@pytest.mark.parametrize("argument", ["weights", "reference"])
def test_wrong_sizes(argument):
    with pytest.raises(ValueError, match=f"`{argument}` must have one entry"):
        call(balancers.STCH(**{argument: [1.0, 1.0]}), [1.0, 1.0, 1.0])
