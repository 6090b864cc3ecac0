import cvxpy
import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases
from tests.golden_data import load

GROUPS = ("k2p10", "k3p2", "k3p10", "k5p10", "k8p10")
# The multipliers are of the order of 1 / noise.
HARD_IN_FLOAT32 = ("near_collinear", "low_rank")


@pytest.mark.parametrize("tau", [0.02, 0.5])
def test_golden_values(tau):
    count = 0
    for label, rows, _, get, slack in cases("pcd", f"torchjd.PCD.tau{tau}"):
        update = aggregators.PCD(tau=tau)(tensor(rows))
        if by_dtype(update, 64, 32) == 32 and label.endswith(HARD_IN_FLOAT32):
            continue
        tolerance = by_dtype(update, max(1e-7, slack), 2e-3)
        scale = np.linalg.norm(rows[0])
        assert_near(numpy(update), get("vector"), tolerance, scale, label)
        count += 1
    assert count >= by_dtype(update, 55, 40)


@pytest.mark.parametrize("tau, beta", [(0.02, 0.999), (0.5, 0.9)])
def test_golden_sequences(tau, beta):
    values = load("sequences_torchjd")
    count = 0
    for group in GROUPS:
        pcd = aggregators.PCD(tau, beta)
        for step, rows in enumerate(values[f"{group}/J"]):
            update = pcd(tensor(rows))
            variant = f"torchjd.PCD.tau{tau}.beta{beta}/{group}"
            assert_near(
                numpy(update),
                values[f"{variant}/vector"][step],
                by_dtype(update, 1e-7, 2e-3),
                np.linalg.norm(rows[0]),
                f"{variant} {step}",
            )
            count += 1
    assert count == 30


def test_a_conic_solver_agrees():
    generator = np.random.default_rng(0)
    conflicts = 0
    for num_tasks in (2, 3, 5, 7):
        rows = generator.normal(size=(num_tasks, 8))
        rows[1:] -= 0.5 * rows[0]
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        vector = cvxpy.Variable(8)
        problem = cvxpy.Problem(
            cvxpy.Minimize(cvxpy.sum_squares(vector - units[0])),
            [units[1:] @ vector >= 0.1],
        )
        problem.solve(solver="CLARABEL")
        expected = vector.value / np.linalg.norm(vector.value)
        update = aggregators.PCD(tau=0.1, eps=0.0)(tensor(rows))
        assert_near(numpy(update) / np.linalg.norm(rows[0]), expected, 1e-4)
        conflicts += (units[1:] @ units[0] < 0.1).any()
    assert conflicts >= 3


def test_the_first_task_comes_first():
    rows = np.array([[3.0, 4.0], [4.0, 3.0], [1.0, 9.0]])
    # Nobody minds.
    np.testing.assert_allclose(
        numpy(aggregators.PCD()(tensor(rows))), rows[0], rtol=1e-5
    )
    update = numpy(aggregators.PCD()(tensor(rows[::-1].copy())))
    np.testing.assert_allclose(update, rows[2], rtol=1e-5)
    # Where it is absent, the next one is the first.
    mask = tensor(np.array([0.0, 1.0, 1.0]))
    update = numpy(aggregators.PCD()(tensor(rows), mask=mask))
    np.testing.assert_allclose(update, rows[1], rtol=1e-5)


def test_the_order_of_the_other_tasks_makes_no_difference():
    rows = np.random.default_rng(0).normal(size=(2, 5, 4))
    rows[:, 1:] -= rows[:, :1]
    taus = np.array([0.3, 0.0, 0.1, 0.2])
    order = np.array([3, 1, 0, 2])
    moved = np.concatenate([[0], 1 + order])
    one = aggregators.PCD(tau=list(taus))
    other = aggregators.PCD(tau=list(taus[order]))
    first = aggregators.PCD(tau=0.1)
    for step in rows:
        update = numpy(one(tensor(step)))
        assert_near(update, numpy(other(tensor(step[moved]))), 1e-4)
        # Another first task is another method.
        assert (
            np.abs(update - numpy(first(tensor(step[::-1].copy())))).max() > 0.1
        )


def test_special_cases():
    zero_first = np.array([[0.0, 0.0], [1.0, 2.0]])
    np.testing.assert_array_equal(
        numpy(aggregators.PCD()(tensor(zero_first))), [0, 0]
    )
    impossible = np.array([[1.0, 2.0], [1.0, 0.0], [-1.0, 0.0]])
    np.testing.assert_allclose(
        numpy(aggregators.PCD()(tensor(impossible))), [1, 2], rtol=1e-6
    )
    opposed = np.array([[1.0, 2.0], [-1.0, -2.0]])
    np.testing.assert_array_equal(
        numpy(aggregators.PCD(tau=0.0)(tensor(opposed))), [0, 0]
    )


def test_state():
    generator = np.random.default_rng(0)
    pcd = aggregators.PCD(beta=0.9)
    squares = []
    for _ in range(4):
        rows = generator.normal(size=(3, 5))
        squares.append((rows**2).sum(1))
        pcd(tensor(rows))
    weights = 0.9 ** np.arange(4)[::-1]
    expected = weights @ np.array(squares) / weights.sum()
    np.testing.assert_allclose(numpy(pcd.averages.value), expected, rtol=1e-5)
    before = numpy(pcd.averages.value)
    mask = tensor(np.array([1.0, 0.0, 1.0]))
    pcd(tensor(generator.normal(size=(3, 5))), mask=mask)
    changed = numpy(pcd.averages.value) != before
    assert changed.tolist() == [True, False, True]
    assert numpy(pcd.steps.value).tolist() == [5, 4, 5]


@pytest.mark.parametrize("scale", [1e-15, 1e12])
def test_averages_of_extreme_norms(scale):
    rows = np.random.default_rng(0).normal(size=(3, 5))
    pcd = aggregators.PCD(tau=0.5, eps=0.0)
    expected = numpy(aggregators.PCD(tau=0.5, eps=0.0)(tensor(rows)))
    update = pcd(tensor(rows * scale, "float32"))
    np.testing.assert_allclose(numpy(update) / scale, expected, rtol=1e-3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"tau": -0.1}, r"`tau` must be a number in \[0, 1\].*tau=-0.1"),
        ({"tau": 2}, "tau=2"),
        ({"beta": 1.0}, r"`beta` must be a number in \[0, 1\).*beta=1.0"),
        ({"eps": -1e-8}, "eps=-1e-08"),
        ({"eps": float("inf")}, "eps=inf"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        aggregators.PCD(**arguments)


def test_one_fraction_per_task():
    rows = np.random.default_rng(0).normal(size=(3, 8))
    rows[1:] -= rows[0]
    taus = [0.4, 0.1]
    update = numpy(aggregators.PCD(tau=taus)(tensor(rows)))
    np.testing.assert_array_equal(
        update, numpy(aggregators.PCD(tau=[0.0, *taus])(tensor(rows)))
    )
    # In the first step averages are the squared norms themselves.
    units = rows / np.linalg.norm(rows, axis=1)[:, None]
    turned = cvxpy.Variable(8)
    cvxpy.Problem(
        cvxpy.Minimize(cvxpy.sum_squares(turned - units[0])),
        [units[1:] @ turned >= taus],
    ).solve(solver="CLARABEL")
    expected = turned.value / np.linalg.norm(turned.value)
    np.testing.assert_allclose(
        update, expected * np.linalg.norm(rows[0]), atol=1e-5
    )
    with pytest.raises(ValueError, match="2 entries for 5 tasks"):
        aggregators.PCD(tau=taus)(np.eye(5, dtype="float32"))
    for wrong in ([0.1, 1.2], [[0.1]]):
        with pytest.raises(ValueError, match="`tau`"):
            aggregators.PCD(tau=wrong)
    config = aggregators.PCD(tau=taus).get_config()
    assert aggregators.PCD.from_config(config).get_config() == config
