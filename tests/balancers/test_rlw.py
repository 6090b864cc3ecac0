import numpy as np
import pytest

from keras_mtl import balancers
from keras_mtl.balancers.rlw import random_weights
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.balancers.tools import call
from tests.balancers.tools import check
from tests.balancers.tools import published


def test_published_values_for_given_draws():
    count = 0
    for variant in ("torchjd.Random", "LibMTL.RLW", "nashmtl.RLW"):
        for group, _, get in published(variant):
            for row, draws in enumerate(get("normal")):
                weights = random_weights(tensor(draws))
                check(weights, get("grad")[row], f"{variant} {group} {row}")
                count += 1
    assert count == 96


def test_absent_tasks_are_removed_draws():
    draws = np.array([0.3, -1.0, 2.0, 0.1])
    weights = random_weights(tensor(draws), tensor([1.0, 0.0, 1.0, 1.0]))
    assert numpy(weights)[1] == 0
    np.testing.assert_allclose(
        numpy(weights)[[0, 2, 3]],
        numpy(random_weights(tensor(draws[[0, 2, 3]]))),
        rtol=1e-6,
    )


def test_order_of_draws():
    draws, order = np.array([0.3, -1.0, 2.0, 0.1]), [3, 1, 0, 2]
    np.testing.assert_allclose(
        numpy(random_weights(tensor(draws[order]))),
        numpy(random_weights(tensor(draws)))[order],
        rtol=1e-6,
    )


def test_seeds():
    def draws(seed):
        balancer = balancers.RLW(seed)
        return [numpy(call(balancer, np.ones(3))) for _ in range(4)]

    np.testing.assert_array_equal(draws(1), draws(1))
    assert not np.array_equal(draws(1)[0], draws(1)[1])
    assert not np.array_equal(draws(1), draws(2))
    np.testing.assert_allclose(np.sum(draws(3), axis=1), 1.0, rtol=1e-6)


def test_they_are_the_same_on_every_backend():
    weights = numpy(call(balancers.RLW(seed=1), np.ones(3)))
    np.testing.assert_allclose(weights, [0.240384, 0.113717, 0.645899], 1e-5)


def test_on_average_they_are_equal():
    balancer = balancers.RLW(seed=0)
    weights = [numpy(call(balancer, np.ones(4))) for _ in range(400)]
    # Four standard errors: a weight has a standard deviation of about 0.18.
    np.testing.assert_allclose(np.mean(weights, axis=0), 0.25, atol=0.036)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_wrong_seeds(seed):
    with pytest.raises(ValueError, match=f"Received: seed={seed}"):
        balancers.RLW(seed)
