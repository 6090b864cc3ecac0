import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from keras_mtl import aggregators
from keras_mtl.aggregators.task_weights import multiplied_weights
from tests.backend_tools import numpy
from tests.backend_tools import tensor


def by_the_letter(logits, exponents, present):
    """The same in float64."""
    logits, exponents = np.float64(logits), np.float64(exponents)
    inside = present > 0
    raised = logits + exponents
    if inside.any():
        raised -= logsumexp(raised[inside]) - logsumexp(logits[inside])
    return np.where(inside, raised, logits)


def multiplied(logits, exponents, present):
    return numpy(
        multiplied_weights(
            tensor(logits, "float32"),
            tensor(exponents, "float32"),
            tensor(present, "float32"),
        )
    )


@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-6])
def test_small_steps_are_not_rounded_away(size):
    generator = np.random.default_rng(0)
    for num_tasks in (2, 5, 40):
        exponents = np.float32(size * generator.uniform(size=num_tasks))
        present = np.ones(num_tasks, "float32")
        logits = np.zeros(num_tasks, "float32")
        np.testing.assert_allclose(
            multiplied(logits, exponents, present),
            by_the_letter(logits, exponents, present),
            rtol=0,
            # The logarithm of the number of tasks alone is rounded by more
            # than the smallest step.
            atol=1e-6 * size,
        )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-400, 400, width=32),
            st.floats(-400, 400, width=32),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_equals_the_formula(entries):
    logits, exponents, present = map(np.float32, zip(*entries, strict=True))
    actual = multiplied(logits, exponents, present)
    expected = by_the_letter(logits, exponents, present)
    # A few roundings of numbers up to 800.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=3e-4)
    np.testing.assert_array_equal(actual[present == 0], logits[present == 0])


def test_the_largest_numbers_stay_finite():
    for exponents in ([3e38, 0.0], [-3e38, 3e38], [-np.inf, np.inf]):
        for logits in ([0.0, 0.0], [1e30, -1e30]):
            for present in ([1.0, 1.0], [0.0, 1.0], [0.0, 0.0]):
                actual = multiplied(logits, exponents, np.float32(present))
                assert np.isfinite(actual).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: aggregators.MGDA("loss"),
        lambda: aggregators.MGDA("loss+"),
        aggregators.MoCo,
        aggregators.GradNorm,
        aggregators.GO4Align,
    ],
)
def test_methods_that_divide_by_losses_are_not_defined_for_negative(make):
    rows = np.eye(2, 3, dtype="float32")
    negative = np.array([-0.5, 2.0], "float32")
    assert np.isnan(numpy(make()(rows, losses=negative))).any()
    # An absent task has a loss of no consequence.
    update = make()(rows, losses=negative, mask=np.array([False, True]))
    assert np.isfinite(numpy(update)).all()
