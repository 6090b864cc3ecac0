"""Balancers that weigh each task by its own loss alone."""

import numpy as np
import pytest

from keras_mtl import balancers
from tests.backend_tools import numpy
from tests.balancers.tools import call
from tests.balancers.tools import check
from tests.balancers.tools import published
from tests.balancers.tools import ramp


@pytest.mark.parametrize(
    "variant, make",
    [
        ("torchjd.Sum", lambda size: balancers.Equal()),
        ("torchjd.Mean", lambda size: balancers.Fixed([1 / size] * size)),
        ("torchjd.Constant", lambda size: balancers.Fixed(ramp(size))),
        (
            "nashmtl.ScaleInvariantLinearScalarization",
            lambda size: balancers.Log(eps=0.0),
        ),
    ],
)
def test_published_values(variant, make):
    count = 0
    for group, inputs, get in published(variant):
        for row, losses in enumerate(inputs("L")):
            weights = call(make(len(losses)), losses)
            check(weights, get("grad")[row], f"{variant} {group} {row}")
            count += 1
    assert count == 32


def test_a_negative_loss_has_no_logarithm():
    weights = numpy(call(balancers.Log(), [-0.5, 2.0, 0.0]))
    assert np.isnan(weights[0])
    np.testing.assert_allclose(weights[1:], [0.5, 1e8], rtol=1e-6)
    # An absent task has a loss of no consequence.
    weights = numpy(call(balancers.Log(), [-0.5, 2.0], mask=[0, 1]))
    np.testing.assert_allclose(weights, [0.0, 0.5], rtol=1e-6)
