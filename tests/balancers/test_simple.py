"""Balancers that weigh each task by its own loss alone."""

import keras
import numpy as np
import pytest

from keras_mtl import aggregators
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


@pytest.mark.parametrize(
    "make",
    [
        balancers.Log,
        balancers.GLS,
        balancers.DWA,
        balancers.IMTLL,
        balancers.FAMO,
        lambda: balancers.FAMO(min_losses=[-0.4, -0.4]),
        lambda: balancers.STCH(warmup_epochs=1),
        lambda: balancers.SoftAdapt(variant="loss_weighted"),
    ],
)
def test_a_loss_below_the_lowest_has_no_weight(make):
    weights = numpy(call(make(), [-0.5, 2.0]))
    assert np.isnan(weights[0]) and weights[1] > 0
    # An absent task has a loss of no consequence.
    weights = numpy(call(make(), [-0.5, 2.0], mask=[0, 1]))
    assert weights[0] == 0 and weights[1] > 0


@pytest.mark.parametrize(
    "make",
    [
        balancers.COSMOS,
        balancers.PBI,
        balancers.RLW,
        balancers.STCH,
        balancers.SoftAdapt,
        lambda: balancers.FAMO(min_losses=[-0.6, 0.0]),
    ],
)
def test_others_are_defined_for_negative_losses(make):
    assert np.isfinite(numpy(call(make(), [-0.5, 2.0]))).all()


def test_weights_of_a_logarithm():
    weights = numpy(call(balancers.Log(), [2.0, 0.0]))
    np.testing.assert_allclose(weights, [0.5, 1e8], rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda weights: balancers.STCH(weights=weights),
        lambda weights: balancers.FAMO(min_losses=weights),
        aggregators.Constant,
        aggregators.UPGrad,
    ],
)
def test_a_variable_that_would_be_read_once_is_refused(make):
    with pytest.raises(ValueError, match="is read once.*balancers.Fixed"):
        make([1.0, keras.Variable(1.0)])


def test_variables_of_fixed_weights_are_scalars_or_one_vector():
    with pytest.raises(ValueError, match="variables that are scalars"):
        balancers.Fixed([1.0, keras.Variable([1.0, 2.0])])
    with pytest.raises(ValueError, match="non-negative"):
        balancers.Fixed([1.0, keras.Variable(-1.0)])
    with pytest.raises(ValueError, match="2 entries for 3 tasks"):
        balancers.Fixed(keras.Variable([1.0, 2.0]))([1.0, 1.0, 1.0])
