import keras
import numpy as np
import pytest

from keras_mtl import balancers
from tests.backend_tools import numpy
from tests.balancers.tools import call
from tests.balancers.tools import check
from tests.balancers.tools import published
from tests.golden_data import load


@pytest.mark.parametrize(
    "variant, make, entry",
    [
        ("torchjd.UW", lambda: balancers.UW(0.0, 0.1, "sgd"), "log_var"),
        (
            "nashmtl.Uncertainty",
            lambda: balancers.UW(0.0, 0.1, "sgd"),
            "logsigma",
        ),
        ("LibMTL.UW", lambda: balancers.UW(-0.5, 0.1, "sgd"), "loss_scale"),
        (
            "torchjd.IMTLL",
            lambda: balancers.IMTLL(0.0, 0.1, "sgd"),
            "log_scale",
        ),
    ],
)
def test_published_values(variant, make, entry):
    count = 0
    for group, inputs, get in published(variant):
        balancer = make()
        for row, losses in enumerate(inputs("L")):
            label = f"{variant} {group} {row}"
            if row:
                check(balancer.values.value, get(entry)[row], label)
            check(call(balancer, losses), get("grad")[row], label)
            count += 1
    assert count == 32


def test_published_scales_of_imtl():
    values = load("sequences_libmtl")
    groups = sorted(
        key.split("/")[1]
        for key in values
        if key.startswith("LibMTL.IMTL/") and key.endswith("/loss_scale")
    )
    inputs = [key for key in values if key.endswith("/L")]
    assert groups and inputs
    for group in groups:
        balancer = balancers.IMTLL(0.0, 0.1, "sgd")
        scales = values[f"LibMTL.IMTL/{group}/loss_scale"]
        for losses, scale in zip(values[f"{group}/L"], scales, strict=True):
            check(call(balancer, losses), np.exp(scale), group)


@pytest.mark.parametrize("make", [balancers.UW, balancers.IMTLL])
def test_adam_is_adam(make):
    generator = np.random.default_rng(0)
    balancer = make(0.25, 0.1)
    variable = keras.Variable(np.full(3, 0.25, "float32"))
    optimizer = keras.optimizers.Adam(0.1, epsilon=1e-8)
    for _ in range(5):
        losses = np.exp(generator.normal(size=3))
        values = numpy(variable.value)
        if make is balancers.UW:
            gradient = 0.5 - 0.5 * np.exp(-values) * losses
        else:
            gradient = np.exp(values) * losses - 1
        call(balancer, losses)
        gradient = keras.ops.convert_to_tensor(gradient.astype("float32"))
        optimizer.apply([gradient], [variable])
        np.testing.assert_allclose(
            numpy(balancer.values.value), numpy(variable.value), atol=1e-5
        )


@pytest.mark.parametrize(
    "make, product", [(balancers.UW, 0.5), (balancers.IMTLL, 1.0)]
)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weighted_losses_settle_at_the_same_size(make, product, optimizer):
    losses = np.array([0.3, 1.0, 5.0])
    balancer = make(learning_rate=0.1, optimizer=optimizer)
    for _ in range(300):
        weights = call(balancer, losses)
    np.testing.assert_allclose(numpy(weights) * losses, product, rtol=1e-2)


def test_imtl_l_is_twice_uw_with_the_opposite_sign():
    losses = np.array([0.3, 1.0, 5.0])
    one = balancers.IMTLL(0.5, 0.1, "sgd")
    other = balancers.UW(-0.5, 0.2, "sgd")
    for _ in range(4):
        np.testing.assert_allclose(
            numpy(call(one, losses)), 2 * numpy(call(other, losses)), rtol=1e-5
        )


def test_huge_losses_are_forgotten():
    balancer = balancers.UW(learning_rate=0.5, optimizer="sgd")
    call(balancer, [1e15, 0.0])
    for _ in range(400):
        weights = call(balancer, [1.0, 1.0])
    np.testing.assert_allclose(numpy(weights), [0.5, 0.5], rtol=1e-2)


def test_zero_losses_stop_at_a_limit():
    balancer = balancers.IMTLL(learning_rate=1.0, optimizer="sgd")
    for _ in range(60):
        weights = call(balancer, [0.0, 1.0])
    np.testing.assert_allclose(numpy(weights), [np.exp(40.0), 1.0], rtol=1e-5)


@pytest.mark.parametrize("make", [balancers.UW, balancers.IMTLL])
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"initial_value": 50.0}, "initial_value=50.0"),
        ({"initial_value": float("nan")}, "initial_value=nan"),
        ({"learning_rate": -0.1}, "learning_rate=-0.1"),
        ({"learning_rate": "fast"}, "learning_rate=fast"),
        ({"optimizer": "rmsprop"}, "optimizer=rmsprop"),
    ],
)
def test_wrong_arguments(make, arguments, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        make(**arguments)
