"""UPGrad and DualProj, which share a solver."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases

METHODS = {
    "upgrad": (aggregators.UPGrad, "torchjd.UPGrad"),
    "dualproj": (aggregators.DualProj, "torchjd.DualProj"),
}
methods = pytest.mark.parametrize("file", METHODS)


def ranks(num_tasks):
    return list(np.arange(1, num_tasks + 1) / (num_tasks * (num_tasks + 1) / 2))


@methods
@pytest.mark.parametrize("variant", ["", ".eps0", ".pref"])
def test_published_values(file, variant):
    method, name = METHODS[file]
    count = 0
    for label, rows, _, get, slack in cases(file, name + variant):
        preference = ranks(len(rows)) if variant == ".pref" else None
        if variant == ".eps0":
            arguments = {"norm_eps": 0.0, "reg_eps": 1e-7}
        else:
            arguments = {"norm_eps": 1e-4, "reg_eps": 1e-4}
        update = method(preference, **arguments)(tensor(rows))
        # In float32 only where the regularisation is above the rounding.
        if by_dtype(update, 64, 32) == 32 and (
            variant == ".eps0" or slack > 1e-12
        ):
            continue
        tolerance = by_dtype(update, max(2e-7, slack), 1e-3)
        # The published solver's own accuracy, relative to the rows.
        scale = max(
            np.linalg.norm(get("vector")),
            1e-2 * np.linalg.norm(rows, axis=1).max(),
        )
        assert_near(numpy(update), get("vector"), tolerance, scale, label)
        count += 1
    assert count > 20 or (variant == ".eps0" and count == 0)
    if count == 0:
        pytest.skip("Needs float64.")


def exact_projection(rows, combination):
    """By a general solver for non-negative least squares."""
    values, _ = nnls(rows.T, -combination @ rows, maxiter=1000)
    return (combination + values) @ rows


@pytest.mark.parametrize("num_tasks, size", [(2, 5), (3, 2), (8, 30), (8, 4)])
def test_equals_least_squares(num_tasks, size):
    generator = np.random.default_rng(num_tasks)
    for _ in range(5):
        rows = generator.normal(size=(num_tasks, size))
        rows -= 1.1 * rows.mean(axis=0)
        mean = np.full(num_tasks, 1 / num_tasks)
        update = aggregators.DualProj()(tensor(rows))
        tolerance = by_dtype(update, 1e-8, 1e-4)
        expected = exact_projection(rows, mean)
        scale = np.linalg.norm(rows)
        assert_near(numpy(update), expected, tolerance, scale)
        expected = np.mean(
            [exact_projection(rows, unit) for unit in np.eye(num_tasks)],
            axis=0,
        )
        update = aggregators.UPGrad()(tensor(rows))
        assert_near(numpy(update), expected, tolerance, scale)


@methods
@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 64),
    st.integers(0, 2**31),
    st.integers(-15, 9),
    st.integers(0, 6),
)
def test_no_task_gets_worse(file, num_tasks, size, seed, exponent, spread):
    generator = np.random.default_rng(seed)
    rank = generator.integers(1, min(num_tasks, size) + 1)
    rows = generator.normal(size=(num_tasks, rank))
    rows = rows @ generator.normal(size=(rank, size))
    rows *= 10.0 ** generator.uniform(0, spread, size=(num_tasks, 1))
    rows[generator.random(num_tasks) < 0.1] = 0
    rows *= 10.0**exponent
    update = METHODS[file][0]()(tensor(rows))
    assert np.isfinite(numpy(update)).all()
    norms = np.linalg.norm(rows, axis=1)
    units = rows / np.where(norms > 0, norms, 1)[:, None]
    worst = (units @ numpy(update)).min()
    assert worst >= -by_dtype(update, 1e-6, 2e-3) * norms.max()


def test_influence_is_proportional_to_the_gradient():
    # Scaling one row scales the part that comes from it.
    rows = np.array([[1.0, 0.2, 0.0], [-0.8, 1.0, 0.3], [0.1, -0.5, 1.0]])

    def upgrad(scales):
        return numpy(aggregators.UPGrad()(tensor(rows * scales[:, None])))

    one, two = np.array([1.0, 1.0, 1.0]), np.array([3.0, 0.5, 2.0])
    np.testing.assert_allclose(
        upgrad(one) + upgrad(two), upgrad(one + two), rtol=1e-4
    )


@methods
def test_nothing_to_do_without_conflict(file):
    rows = np.array([[1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(
        numpy(METHODS[file][0]()(tensor(rows))), [1.0, 0.5], rtol=1e-6
    )


@methods
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"preference": [-1.0, 2.0]}, "`preference`"),
        ({"preference": [0.0, 0.0]}, "not all"),
        ({"preference": [float("nan"), 1.0]}, "`preference`"),
        ({"norm_eps": -1.0}, "`norm_eps`"),
        ({"reg_eps": float("inf")}, "`reg_eps`"),
    ],
)
def test_bad_arguments(file, arguments, message):
    with pytest.raises(ValueError, match=message):
        METHODS[file][0](**arguments)


@methods
def test_wrong_number_of_preferences(file):
    with pytest.raises(ValueError, match="2 .* for 3 tasks"):
        METHODS[file][0]([0.5, 0.5])(np.ones((3, 4), "float32"))
