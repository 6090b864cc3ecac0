import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import load

GROUPS = ("k2p10", "k3p10", "k5p10", "k8p10", "k3p2")


def jacobians(samples):
    return [aggregators.Jacobian(stacks=[tensor(rows)]) for rows in samples]


def built(aggregator, shape):
    aggregator.build([shape], "float64" if is_wide() else "float32")
    return aggregator


def is_wide():
    return by_dtype(tensor(np.zeros(1)), True, False)


def normalized(values):
    return values / values.sum()


@pytest.mark.parametrize(
    "variant, gamma",
    [
        ("LibMTL.MoDo", 1e-3),
        ("LibMTL.MoDo.gamma0.1", 0.1),
        ("torchjd.MoDo", 0.1),
    ],
)
def test_golden_sequences(variant, gamma):
    values = load(f"sequences_{variant.split('.')[0].lower()}")
    count = 0
    for group in GROUPS:
        steps = values[f"{group}/J3"]
        modo = built(aggregators.MoDo(gamma), steps.shape[2:])
        for step, samples in enumerate(steps):
            (update,) = modo.aggregate_samples(jacobians(samples))
            tolerance = by_dtype(update, 1e-9, 1e-4)
            weights = values[f"{variant}/{group}/weights"][step]
            np.testing.assert_allclose(
                normalized(numpy(modo.task_weights.value)),
                weights,
                rtol=tolerance,
                atol=tolerance,
            )
            np.testing.assert_allclose(
                numpy(update),
                values.get(
                    f"{variant}/{group}/vector", {step: weights @ samples[2]}
                )[step],
                rtol=tolerance,
                atol=tolerance,
            )
            count += 1
    assert count == 30


@pytest.mark.parametrize("num_tasks", [1, 2, 5])
def test_cross_gramian(num_tasks):
    left, right = np.random.default_rng(0).normal(size=(2, num_tasks, 18))

    def stacks(rows):
        return [
            tensor(rows[:, :12].reshape(num_tasks, 3, 4)),
            tensor(rows[:, 12:]),
        ]

    by_stacks = [aggregators.Jacobian(stacks=stacks(m)) for m in (left, right)]
    by_rows = [
        aggregators.Jacobian(
            rows=[[part[k] for part in stacks(m)] for k in range(num_tasks)]
        )
        for m in (left, right)
    ]
    for first in (by_stacks[0], by_rows[0]):
        for second in (by_stacks[1], by_rows[1]):
            product = first.cross_gramian(second)
            tolerance = by_dtype(product, 1e-12, 1e-5)
            np.testing.assert_allclose(
                numpy(product), left @ right.T, rtol=tolerance, atol=tolerance
            )
    empty = aggregators.Jacobian(rows=[[], []])
    np.testing.assert_array_equal(
        numpy(empty.cross_gramian(empty)), np.zeros((2, 2))
    )


def test_two_samples_descend_along_their_mean():
    samples = np.random.default_rng(0).normal(size=(2, 3, 4))
    modo = built(aggregators.MoDo(samples=2), (3, 4))
    (update,) = modo.aggregate_samples(jacobians(samples))
    weights = normalized(numpy(modo.task_weights.value))
    np.testing.assert_allclose(
        numpy(update), weights @ samples.mean(axis=0), rtol=1e-4
    )


def test_one_sample_takes_all_roles():
    rows = np.random.default_rng(0).normal(size=(3, 4))
    by_hand = aggregators.MoDo(samples=1)(tensor(rows))
    for samples in (1, 2, 3):
        modo = built(aggregators.MoDo(samples=samples), (3, 4))
        (update,) = modo.aggregate_samples(jacobians([rows] * samples))
        np.testing.assert_allclose(numpy(update), numpy(by_hand), rtol=1e-5)


def test_goes_to_the_min_norm_point():
    rows = tensor(np.array([[1.0, 0.0], [0.0, 2.0]]))
    modo = aggregators.MoDo(rho=0.0)
    np.testing.assert_allclose(numpy(modo(rows)), [0.575, 0.85], rtol=1e-5)
    for _ in range(100):
        update = modo(rows)
    np.testing.assert_allclose(numpy(update), [0.8, 0.4], rtol=1e-4)


def test_absent_tasks_wait():
    generator = np.random.default_rng(0)
    with_it = aggregators.MoDo()
    without = aggregators.MoDo()
    mask = tensor(np.array([1.0, 0.0, 1.0]))
    for _ in range(3):
        rows = generator.normal(size=(3, 4))
        update = with_it(tensor(rows), mask=mask)
        expected = without(tensor(rows[[0, 2]]))
        np.testing.assert_allclose(
            numpy(update),
            numpy(expected),
            rtol=by_dtype(update, 1e-9, 1e-4),
            atol=by_dtype(update, 1e-12, 1e-5),
        )
        assert numpy(with_it.task_weights.value)[1] == 1
    np.testing.assert_allclose(
        numpy(with_it.task_weights.value).sum(), 3, rtol=1e-5
    )


def test_wrong_arguments():
    for value in (0, -1, float("inf"), "a"):
        with pytest.raises(ValueError, match="Received: gamma="):
            aggregators.MoDo(value)
    with pytest.raises(ValueError, match="Received: rho=-1"):
        aggregators.MoDo(rho=-1)
    for samples in (0, 4, True):
        with pytest.raises(ValueError, match=f"Received: samples={samples}"):
            aggregators.MoDo(samples=samples)
    modo = built(aggregators.MoDo(), (2, 3))
    with pytest.raises(ValueError, match="3 Jacobians.*Received: 2"):
        modo.aggregate_samples(jacobians(np.ones((2, 2, 3))))
