import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor


@pytest.mark.parametrize("num_groups", [1, 4, 9])
def test_the_formula_by_the_letter(num_groups):
    generator = np.random.default_rng(0)
    aggregator = aggregators.GO4Align(num_groups, robust_step_size=0.3)
    shares = np.ones(4) / 4
    for _ in range(5):
        rows, losses = generator.normal(size=(4, 6)), generator.uniform(size=4)
        shares = shares * np.exp(-0.3 * losses)
        shares = shares / shares.sum()
        weights = losses.sum() / losses * shares
        if num_groups == 1:
            weights = np.full(4, weights.mean())
        update = aggregator(tensor(rows), losses=tensor(losses))
        np.testing.assert_allclose(
            numpy(update),
            weights @ rows,
            rtol=by_dtype(update, 1e-10, 1e-4),
            atol=by_dtype(update, 1e-12, 1e-5),
        )


def test_tasks_of_a_group_share_a_weight():
    losses = [1.0, 1.1, 8.0, 9.0]
    aggregator = aggregators.GO4Align(2, robust_step_size=0.0)
    weights = numpy(aggregator(tensor(np.eye(4)), losses=losses))
    values = np.sum(losses) / np.array(losses) / 4
    expected = np.r_[[values[:2].mean()] * 2, [values[2:].mean()] * 2]
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_scales_of_losses_drop_out():
    # With as many groups as tasks, all weighted losses are the same.
    losses = np.array([1e-3, 1.0, 50.0])
    aggregator = aggregators.GO4Align(3, robust_step_size=0.0)
    weights = numpy(aggregator(tensor(np.eye(3)), losses=tensor(losses)))
    np.testing.assert_allclose(weights * losses, losses.mean(), rtol=1e-5)


def test_example():
    aggregator = aggregators.GO4Align(robust_step_size=0.0)
    update = aggregator([[1.0, 0.0], [0.0, 1.0]], losses=[1.0, 3.0])
    np.testing.assert_allclose(numpy(update), [2, 2 / 3], rtol=1e-5)


def test_absent_tasks_wait():
    generator = np.random.default_rng(0)
    with_it = aggregators.GO4Align(robust_step_size=0.5)
    without = aggregators.GO4Align(robust_step_size=0.5)
    mask = tensor(np.array([1.0, 0.0, 1.0, 1.0]))
    kept = [0, 2, 3]
    for _ in range(4):
        rows, losses = generator.normal(size=(4, 5)), generator.uniform(size=4)
        one = with_it(tensor(rows), losses=tensor(losses), mask=mask)
        other = without(tensor(rows[kept]), losses=tensor(losses[kept]))
        np.testing.assert_allclose(
            numpy(one),
            numpy(other),
            rtol=by_dtype(one, 1e-9, 1e-4),
            atol=by_dtype(one, 1e-12, 1e-5),
        )
        assert numpy(with_it.logits.value)[1] == 0


def test_no_inner_products():
    class Watched(aggregators.Jacobian):
        def gramian(self):
            raise AssertionError("The Gramian is not needed.")

    aggregator = aggregators.GO4Align()
    aggregator.build([(2, 3)])
    aggregator.aggregate(Watched(stacks=[tensor(np.ones((2, 3)))]), [1.0, 2.0])


def test_wrong_arguments():
    for value in (0, 1.5, True):
        with pytest.raises(ValueError, match="Received: num_groups="):
            aggregators.GO4Align(value)
    with pytest.raises(ValueError, match="Received: robust_step_size=-1"):
        aggregators.GO4Align(robust_step_size=-1)
    with pytest.raises(ValueError, match="needs the task losses"):
        aggregators.GO4Align()([[1.0, 2.0]])
