import numpy as np

from keras_mtl import balancers
from tests.backend_tools import numpy
from tests.balancers.tools import call
from tests.balancers.tools import check
from tests.balancers.tools import published


def test_published_values():
    count = 0
    for variant in ("torchjd.GeometricMean", "LibMTL.GLS"):
        for group, inputs, get in published(variant):
            for row, losses in enumerate(inputs("L")):
                weights = call(balancers.GLS(), losses)
                check(weights, get("grad")[row], f"{variant} {group} {row}")
                count += 1
    assert count == 64


def test_it_is_the_geometric_mean_times_that_of_log():
    losses = np.array([0.5, 2.0, 3.0])
    np.testing.assert_allclose(
        numpy(call(balancers.GLS(), losses)),
        3.0 ** (1 / 3) / 3 * numpy(call(balancers.Log(eps=0.0), losses)),
        rtol=1e-5,
    )


def test_a_loss_of_zero_counts_as_the_smallest():
    weights = numpy(call(balancers.GLS(), [0.0, 1.0]))
    np.testing.assert_allclose(weights, [0.5e9, 0.5e-9], rtol=1e-4)


def test_a_product_that_overflows():
    weights = numpy(call(balancers.GLS(), np.full(8, 1e15)))
    np.testing.assert_allclose(weights, np.full(8, 1 / 8), rtol=1e-4)
