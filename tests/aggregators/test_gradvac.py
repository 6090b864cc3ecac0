import numpy as np
import pytest

from keras_mtl import aggregators
from keras_mtl.aggregators.gradvac import vaccine_weights
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import load

GROUPS = ("k2p10", "k3p2", "k3p10", "k5p10", "k8p10")


def vaccinate(rows, orders, targets, beta, epsilon=0.0):
    """The algorithm of the paper, by the letter; changes `targets`."""
    update = np.zeros(rows.shape[1])
    for i, row in enumerate(rows):
        vector = row.copy()
        for j in orders[i]:
            if j == i:
                continue
            norm, other = np.linalg.norm(vector), np.linalg.norm(rows[j])
            cosine = vector @ rows[j] / (norm * other + epsilon)
            target = targets[i, j]
            if cosine < target:
                sine = np.sqrt(1 - target**2)
                factor = target * np.sqrt(1 - cosine**2) - cosine * sine
                step = norm * factor / (other * sine + epsilon)
                vector = vector + step * rows[j]
            targets[i, j] = (1 - beta) * target + beta * cosine
        update += vector
    return update


@pytest.mark.parametrize(
    "file, variant, state",
    [
        ("sequences_torchjd", "torchjd.GradVac", "phi"),
        ("sequences_libmtl", "LibMTL.GradVac", "rho"),
    ],
)
def test_golden_values(file, variant, state):
    values = load(file)
    count = 0
    for group in GROUPS:
        jacobians = values[f"{group}/J"]
        num_tasks = jacobians.shape[1]
        published_targets = np.zeros((num_tasks, num_tasks))
        targets = tensor(published_targets)
        for step, rows in enumerate(jacobians):
            orders = values[f"{variant}/{group}/orders"][step]
            weights, targets = vaccine_weights(
                tensor(rows @ rows.T), tensor(orders.astype("int32")), targets
            )
            label = f"{variant} {group} {step}"
            # They add 1e-8 to the denominators, which explains the rest.
            expected = values[f"{variant}/{group}/vector"][step]
            published = vaccinate(rows, orders, published_targets, 0.5, 1e-8)
            assert_near(published, expected, 1e-9, label=label)
            tolerance = by_dtype(weights, 1e-5, 1e-3)
            scale = np.linalg.norm(rows, axis=1).max()
            assert_near(
                numpy(weights) @ rows, expected, tolerance, scale, label
            )
            expected = values[f"{variant}/{group}/{state}"][step]
            assert_near(published_targets, expected, 1e-9, label=label)
            assert_near(numpy(targets), expected, tolerance, label=label)
            count += 1
    assert count == 30


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_the_algorithm_by_the_letter(beta):
    generator = np.random.default_rng(0)
    expected_targets = np.zeros((4, 4))
    targets = tensor(expected_targets)
    for _ in range(3):
        rows = generator.normal(size=(4, 3)) + 0.5
        orders = np.argsort(generator.normal(size=(4, 4)))
        weights, targets = vaccine_weights(
            tensor(rows @ rows.T),
            tensor(orders.astype("int32")),
            targets,
            beta=beta,
        )
        expected = vaccinate(rows, orders, expected_targets, beta)
        tolerance = by_dtype(weights, 1e-9, 1e-3)
        np.testing.assert_allclose(
            numpy(weights) @ rows, expected, rtol=tolerance, atol=tolerance
        )
        np.testing.assert_allclose(
            numpy(targets), expected_targets, atol=tolerance
        )


def test_a_corrected_gradient_has_the_target_cosine():
    rows = np.array([[1.0, 0.0], [-1.0, 2.0]])
    gradvac = aggregators.GradVac()
    gradvac(tensor(np.array([[1.0, 0.0], [1.0, 1.0]])))
    target = numpy(gradvac.targets.value)[0, 1]
    np.testing.assert_allclose(target, 0.5 * np.sqrt(0.5), rtol=1e-6)
    targets = tensor(np.array([[0.0, target], [-1.0, 0.0]]))
    orders = tensor(np.array([[1], [0]], "int32"))
    weights, _ = vaccine_weights(tensor(rows @ rows.T), orders, targets)
    first = numpy(weights) @ rows - rows[1]
    cosine = first @ rows[1] / np.linalg.norm(first) / np.linalg.norm(rows[1])
    np.testing.assert_allclose(cosine, target, rtol=1e-5)


def test_the_first_update_is_that_of_pcgrad():
    rows = tensor(np.random.default_rng(0).normal(size=(2, 5)))
    np.testing.assert_allclose(
        numpy(aggregators.GradVac()(rows)),
        numpy(aggregators.PCGrad()(rows)),
        rtol=1e-5,
    )


def test_parallel_gradients_leave_corrections_bounded():
    gradvac = aggregators.GradVac(beta=1.0)
    gradvac(tensor(np.array([[1.0, 1.0], [1.0, 1.0]])))
    update = gradvac(tensor(np.array([[1.0, 0.0], [0.0, 1.0]])))
    assert np.abs(numpy(update)).max() < 2000


def test_absent_tasks():
    generator = np.random.default_rng(0)
    masked, removed = aggregators.GradVac(), aggregators.GradVac()
    for step in range(4):
        rows = generator.normal(size=(3, 4))
        if step == 2:
            before = numpy(masked.targets.value)
            full = masked(tensor(rows))
            assert numpy(full).shape == (4,)
            masked.targets.assign(tensor(before, masked.targets.dtype))
            continue
        mask = tensor(np.array([1.0, 0.0, 1.0]))
        np.testing.assert_allclose(
            numpy(masked(tensor(rows), mask=mask)),
            numpy(removed(tensor(rows[[0, 2]]))),
            rtol=1e-5,
            atol=1e-6,
        )
        np.testing.assert_allclose(
            numpy(masked.targets.value)[np.ix_([0, 2], [0, 2])],
            numpy(removed.targets.value),
            atol=1e-6,
        )
    full = masked(tensor(generator.normal(size=(3, 4))))
    before = numpy(masked.targets.value)
    assert (before[np.triu_indices(3, 1)] != 0).all()
    masked(
        tensor(generator.normal(size=(3, 4))),
        mask=tensor(np.array([1.0, 0.0, 1.0])),
    )
    after = numpy(masked.targets.value)
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_array_equal(after[:, 1], before[:, 1])
    assert after[0, 2] != before[0, 2]


def test_seeds():
    steps = np.random.default_rng(0).normal(size=(3, 8, 3))

    def draws(seed):
        aggregator = aggregators.GradVac(seed=seed)
        return [numpy(aggregator(tensor(rows))) for rows in steps]

    np.testing.assert_array_equal(draws(1), draws(1))
    assert not np.array_equal(draws(1), draws(2))
    aggregator = aggregators.GradVac(seed=1)
    assert aggregator.sibling(1).seed != aggregator.seed


def test_wrong_arguments():
    for beta in (-0.1, 1.1, "a"):
        with pytest.raises(ValueError, match=f"Received: beta={beta}"):
            aggregators.GradVac(beta=beta)
    with pytest.raises(ValueError, match="Received: seed=-1"):
        aggregators.GradVac(seed=-1)
