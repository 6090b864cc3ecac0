import numpy as np
import pytest

from keras_mtl import aggregators
from keras_mtl.gradients.jacobian import Jacobian
from tests.backend_tools import by_dtype
from tests.backend_tools import compiled
from tests.backend_tools import numpy
from tests.backend_tools import tensor


def jacobian(rows):
    return Jacobian(stacks=[tensor(rows)])


def test_all_rows_get_the_same_norm():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(4, 9)) * 10.0 ** np.arange(-2, 2)[:, None]
    norms = np.linalg.norm(rows, axis=1)
    weights = np.sqrt((norms**2).sum()) / norms
    update = aggregators.NTKMTL()(tensor(rows))
    np.testing.assert_allclose(
        numpy(update), weights @ rows, rtol=by_dtype(update, 1e-12, 1e-4)
    )


def test_zero_and_absent_rows_are_left_out():
    rows = np.random.default_rng(0).normal(size=(4, 5))
    rows[1] = 0
    mask = tensor(np.array([1.0, 1.0, 0.0, 1.0]))
    np.testing.assert_allclose(
        numpy(aggregators.NTKMTL()(tensor(rows), mask=mask)),
        numpy(aggregators.NTKMTL()(tensor(rows[[0, 3]]))),
        rtol=1e-5,
    )


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
def test_kernels_of_several_parts(scale):
    parts = np.random.default_rng(0).normal(size=(3, 4, 6)) * scale
    largest = np.array(
        [np.linalg.norm(parts[:, k], ord=2) ** 2 for k in range(4)]
    )
    weights = np.sqrt(largest.sum() / largest)
    aggregator = aggregators.NTKMTL(n=3)
    assert aggregator.samples == 3
    (update,) = aggregator.aggregate_samples([jacobian(part) for part in parts])
    np.testing.assert_allclose(
        numpy(update) / scale,
        weights @ parts.mean(0) / scale,
        rtol=by_dtype(update, 1e-10, 1e-4),
    )


def test_kernels_in_a_graph():
    parts = np.random.default_rng(0).normal(size=(2, 4, 6))
    aggregator = aggregators.NTKMTL(n=2)

    def aggregate(*rows):
        jacobians = [Jacobian(stacks=[part]) for part in rows]
        return aggregator.aggregate_samples(jacobians)

    rows = [tensor(part, "float32") for part in parts]
    (in_graph,), (eager,) = compiled(aggregate)(*rows), aggregate(*rows)
    np.testing.assert_allclose(numpy(in_graph), numpy(eager), rtol=1e-4)


def test_one_part_is_the_plain_method():
    rows = np.random.default_rng(0).normal(size=(3, 5))
    (update,) = aggregators.NTKMTL().aggregate_samples([jacobian(rows)])
    np.testing.assert_allclose(
        numpy(update), numpy(aggregators.NTKMTL()(tensor(rows))), rtol=1e-5
    )


def test_parts_with_zero_and_absent_rows():
    parts = np.random.default_rng(0).normal(size=(2, 4, 6))
    parts[:, 1] = 0
    parts[0, 3] = 0
    mask = tensor(np.array([1.0, 1.0, 0.0, 1.0]))
    (masked,) = aggregators.NTKMTL(n=2).aggregate_samples(
        [jacobian(part) for part in parts], None, mask
    )
    (removed,) = aggregators.NTKMTL(n=2).aggregate_samples(
        [jacobian(part[[0, 3]]) for part in parts]
    )
    np.testing.assert_allclose(numpy(masked), numpy(removed), rtol=1e-5)
    (zero,) = aggregators.NTKMTL(n=2).aggregate_samples(
        [jacobian(0 * part) for part in parts]
    )
    np.testing.assert_array_equal(numpy(zero), np.zeros(6))


def test_wrong_arguments():
    for n in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match=f"Received: n={n}"):
            aggregators.NTKMTL(n=n)
    with pytest.raises(ValueError, match="2 Jacobians.*Received: 1"):
        aggregators.NTKMTL(n=2).aggregate_samples([jacobian(np.eye(2))])
