from types import SimpleNamespace

import numpy as np
import pytest

from keras_mtl import aggregators
from keras_mtl.aggregators.random import softmax_weights
from keras_mtl.solvers.namespace import HOST
from keras_mtl.solvers.namespace import run
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases


def test_golden_values():
    count = 0
    for label, rows, _, get, _ in cases("random", "torchjd.Random"):
        weights = run(
            lambda xp, normal, present: softmax_weights(xp, normal, present),
            tensor(get("normal")),
            tensor(np.ones(len(rows))),
        )
        tolerance = by_dtype(weights, 1e-12, 1e-6)
        assert_near(numpy(weights), get("weights"), tolerance, label=label)
        update = numpy(weights) @ rows
        scale = np.linalg.norm(rows, axis=1).max()
        assert_near(update, get("vector"), tolerance, scale, label)
        count += 1
    assert count >= 60


def test_the_softmax_leaves_out_absent_tasks():
    logits = np.array([1.0, 500.0, -2.0, 0.5])
    present = np.array([1.0, 0.0, 1.0, 1.0])
    weights = softmax_weights(SimpleNamespace(**vars(HOST)), logits, present)
    expected = np.exp(logits[present > 0])
    np.testing.assert_allclose(
        weights[present > 0], expected / expected.sum(), rtol=1e-12
    )
    assert weights[1] == 0


def test_the_weights_are_positive_and_sum_to_one():
    aggregator = aggregators.Random(seed=1)
    mask = tensor(np.array([1.0, 1.0, 0.0, 1.0, 1.0]))
    draws = [
        numpy(aggregator.compute_row_weights(5, mask, "float32"))
        for _ in range(200)
    ]
    np.testing.assert_allclose(np.sum(draws, axis=1), 1, rtol=1e-5)
    assert (np.min(draws, axis=0) > 0).tolist() == [1, 1, 0, 1, 1]
    np.testing.assert_allclose(
        np.mean(draws, axis=0), [0.25, 0.25, 0, 0.25, 0.25], atol=0.05
    )


def test_seeds():
    rows = tensor(np.eye(3))

    def draws(seed):
        aggregator = aggregators.Random(seed=seed)
        return [numpy(aggregator(rows)) for _ in range(3)]

    np.testing.assert_array_equal(draws(1), draws(1))
    assert not np.array_equal(draws(1)[0], draws(1)[1])
    assert not np.array_equal(draws(1), draws(2))
    aggregator = aggregators.Random(seed=1)
    assert aggregator.sibling(1).seed != aggregator.seed


def test_seeds_of_siblings():
    # Not to change: results of seeded runs depend on them.
    assert aggregators.Random(seed=3).sibling(2).seed == 3 + 2 * 7919
    last = aggregators.Random(seed=2**31 - 1)
    assert last.sibling(0).seed == 2**31 - 1
    assert last.sibling(1).seed == 7918


def test_wrong_arguments():
    for seed in (-1, 1.5, "a", True):
        with pytest.raises(ValueError, match=f"Received: seed={seed}"):
            aggregators.Random(seed=seed)
