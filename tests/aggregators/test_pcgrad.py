import numpy as np
import pytest

from keras_mtl import aggregators
from keras_mtl.aggregators.pcgrad import projection_weights
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases


def project(rows, order, reduction="sum"):
    """The algorithm of the paper, by the letter."""
    update = np.zeros(rows.shape[1])
    for i, row in enumerate(rows):
        vector = row.copy()
        for j in order[i]:
            inner = vector @ rows[j]
            if j != i and inner < 0:
                vector -= inner / (rows[j] @ rows[j]) * rows[j]
        update += vector
    return update / (len(rows) if reduction == "mean" else 1)


@pytest.mark.parametrize("variant", ["torchjd", "LibMTL", "nashmtl", "fsmtl"])
def test_golden_values(variant):
    count = 0
    # LibMTL adds 1e-8 to the denominator.
    libmtl = variant == "LibMTL"
    skip = ("tiny_scale", "low_rank") if libmtl else ()
    name = f"{variant}.PCGrad"
    for label, rows, _, get, slack in cases("pcgrad", name, skip):
        weights = projection_weights(
            tensor(rows @ rows.T),
            tensor(get("orders").astype("int32")),
            visit_self=variant != "torchjd",
        )
        if by_dtype(weights, 64, 32) == 32 and (
            label.endswith(("low_rank", "huge_task")) or len(rows) == 8
        ):
            continue
        tolerance = max(1e-5 if libmtl else 1e-9, slack)
        tolerance = by_dtype(weights, tolerance, 1e-3)
        scale = max(np.linalg.norm(rows, axis=1).max(), 1e-30)
        assert_near(
            numpy(weights) @ rows, get("vector"), tolerance, scale, label
        )
        count += 1
    assert count > 15


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_algorithm_by_the_letter(reduction):
    generator = np.random.default_rng(0)
    for num_tasks in (2, 3, 7):
        rows = generator.normal(size=(num_tasks, 4))
        order = np.argsort(generator.normal(size=(num_tasks, num_tasks)))
        weights = projection_weights(
            tensor(rows @ rows.T),
            tensor(order.astype("int32")),
            reduction=reduction,
        )
        np.testing.assert_allclose(
            numpy(weights) @ rows,
            project(rows, order, reduction),
            rtol=by_dtype(weights, 1e-9, 1e-3),
            atol=by_dtype(weights, 1e-12, 1e-4),
        )


def test_the_order_of_tasks_does_not_matter():
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(5, 3))
    order = np.argsort(generator.normal(size=(5, 5)))
    shuffle = generator.permutation(5)
    inverse = np.argsort(shuffle)
    one = projection_weights(
        tensor(rows @ rows.T), tensor(order.astype("int32"))
    )
    rows = rows[shuffle]
    other = projection_weights(
        tensor(rows @ rows.T), tensor(inverse[order[shuffle]].astype("int32"))
    )
    np.testing.assert_allclose(
        numpy(other), numpy(one)[shuffle], rtol=1e-4, atol=1e-5
    )


def test_absent_tasks():
    generator = np.random.default_rng(2)
    rows = generator.normal(size=(4, 3))
    order = np.argsort(generator.normal(size=(4, 4)))
    kept = [0, 2, 3]
    left = np.array([[kept.index(j) for j in order[i] if j != 1] for i in kept])
    weights = projection_weights(
        tensor(rows @ rows.T),
        tensor(order.astype("int32")),
        tensor(np.array([1.0, 0.0, 1.0, 1.0])),
    )
    assert numpy(weights)[1] == 0
    np.testing.assert_allclose(
        numpy(weights) @ rows,
        project(rows[kept], left),
        rtol=by_dtype(weights, 1e-9, 1e-3),
    )


def test_no_conflict_is_the_sum():
    rows = np.abs(np.random.default_rng(0).normal(size=(4, 5)))
    np.testing.assert_allclose(
        numpy(aggregators.PCGrad()(tensor(rows))), rows.sum(0), rtol=1e-6
    )


def test_seeds():
    rows = tensor(np.random.default_rng(0).normal(size=(8, 3)))

    def draws(seed):
        aggregator = aggregators.PCGrad(seed=seed)
        return [numpy(aggregator(rows)) for _ in range(4)]

    np.testing.assert_array_equal(draws(1), draws(1))
    assert not np.array_equal(draws(1)[0], draws(1)[1])
    assert not np.array_equal(draws(1), draws(2))
    # Two tasks meet each other whatever the order.
    aggregator = aggregators.PCGrad()
    aggregator(tensor(np.eye(2)))
    assert numpy(aggregator.seed_generator.state.value)[1] == 0


def test_siblings_draw_apart():
    aggregator = aggregators.PCGrad(seed=1)
    assert aggregator.sibling(1).seed != aggregator.seed


def test_wrong_arguments():
    with pytest.raises(ValueError, match="Received: reduction=max"):
        aggregators.PCGrad("max")
    for seed in (-1, 1.5, "a", True):
        with pytest.raises(ValueError, match=f"Received: seed={seed}"):
            aggregators.PCGrad(seed=seed)
