import numpy as np
import pytest

from keras_mtl import balancers
from keras_mtl.balancers.soft_adapt import difference_table
from tests.backend_tools import numpy
from tests.balancers.tools import call


def softmax(scores):
    shares = np.exp(scores - np.max(scores))
    return shares / shares.sum()


@pytest.mark.parametrize("size", range(2, 11))
def test_slopes_of_polynomials_are_exact(size):
    generator = np.random.default_rng(size)
    polynomial = np.polynomial.Polynomial(generator.normal(size=size))
    # Newest first, at 0, -1, -2, ...
    values = polynomial(-np.arange(size, dtype="float64"))
    table = np.array(difference_table(10))
    np.testing.assert_allclose(
        table[size, :size] @ values,
        polynomial.deriv()(0.0),
        rtol=1e-7,
    )
    assert not table[size, size:].any()


def test_known_coefficients():
    table = np.array(difference_table(5))
    np.testing.assert_array_equal(table[:2], 0.0)
    np.testing.assert_allclose(table[2, :2], [1, -1])
    np.testing.assert_allclose(table[3, :3], [1.5, -2, 0.5])
    np.testing.assert_allclose(table[5], [25 / 12, -4, 3, -4 / 3, 1 / 4])


CURVES = np.array(
    [[3.0, 1.0, 2.0], [2.5, 0.9, 2.2], [2.2, 0.5, 2.1], [2.1, 0.4, 1.0]]
)


@pytest.mark.parametrize("beta", [0.1, 2.0, -1.0])
def test_plain(beta):
    balancer = balancers.SoftAdapt(beta, history=2)
    for before, now in zip([CURVES[0], *CURVES], CURVES, strict=False):
        np.testing.assert_allclose(
            numpy(call(balancer, now)),
            softmax(beta * (now - before)),
            rtol=1e-5,
        )


def test_longer_histories_grow():
    balancer = balancers.SoftAdapt(1.0, history=3)
    results = [numpy(call(balancer, losses)) for losses in CURVES]
    np.testing.assert_allclose(results[0], 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(
        results[1], softmax(CURVES[1] - CURVES[0]), rtol=1e-5
    )
    for i in (2, 3):
        slopes = 1.5 * CURVES[i] - 2 * CURVES[i - 1] + 0.5 * CURVES[i - 2]
        np.testing.assert_allclose(results[i], softmax(slopes), rtol=1e-5)


def test_loss_weighted():
    balancer = balancers.SoftAdapt(0.5, "loss_weighted", history=2)
    np.testing.assert_allclose(
        numpy(call(balancer, CURVES[0])), CURVES[0] / CURVES[0].sum(), rtol=1e-5
    )
    for before, now in zip(CURVES[:-1], CURVES[1:], strict=True):
        shares = (before + now) / 2 * np.exp(0.5 * (now - before))
        np.testing.assert_allclose(
            numpy(call(balancer, now)), shares / shares.sum(), rtol=1e-5
        )


def test_normalized():
    balancer = balancers.SoftAdapt(2.0, "normalized", history=2)
    call(balancer, CURVES[0])
    for before, now in zip(CURVES[:-1], CURVES[1:], strict=True):
        slopes = now - before
        np.testing.assert_allclose(
            numpy(call(balancer, now)),
            softmax(2 * slopes / np.abs(slopes).sum()),
            rtol=1e-5,
        )


def test_slopes_that_cancel_stay_finite():
    balancer = balancers.SoftAdapt(1.0, "normalized", history=2)
    call(balancer, [1.0, 1.0])
    np.testing.assert_allclose(
        numpy(call(balancer, [2.0, 0.0])), softmax([0.5, -0.5]), rtol=1e-5
    )


@pytest.mark.parametrize("steps_per_epoch", [None, 2])
def test_averages(steps_per_epoch):
    balancer = balancers.SoftAdapt(
        1.0, history=2, steps_per_epoch=steps_per_epoch
    )
    for first, second in zip(CURVES[::2], CURVES[1::2], strict=True):
        call(balancer, first)
        call(balancer, second)
        balancer.end_epoch()
    slopes = CURVES[2:].mean(0) - CURVES[:2].mean(0)
    np.testing.assert_allclose(
        numpy(call(balancer, [9.0, 9.0, 9.0])), softmax(slopes), rtol=1e-5
    )


def test_an_absent_task_waits():
    balancer = balancers.SoftAdapt(1.0, history=2)
    call(balancer, [1.0, 1.0])
    call(balancer, [0.5, 7.0], [1, 0])
    np.testing.assert_allclose(
        numpy(call(balancer, [0.4, 0.3])), softmax([-0.1, -0.7]), rtol=1e-5
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"beta": float("inf")}, "beta=inf"),
        ({"variant": "weighted"}, "variant=weighted"),
        ({"history": 1}, "history=1"),
        ({"history": 11}, "history=11"),
        ({"steps_per_epoch": 0}, "steps_per_epoch=0"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        balancers.SoftAdapt(**arguments)
