import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import load

GROUPS = ("k2p10", "k3p10", "k5p10", "k8p10", "k3p2")


def task_weights(aggregator):
    shares = np.exp(numpy(aggregator.logits.value))
    total = len(shares) if aggregator.scale == "sum" else 1
    return total * shares / shares.sum()


def as_torchjd(robust_step_size, num_warmup_steps):
    return aggregators.ExcessMTL(
        robust_step_size, num_warmup_steps, scale="mean", epsilon=1e-7
    )


@pytest.mark.parametrize(
    "variant, make",
    [
        ("LibMTL.ExcessMTL.eta0.01", lambda: aggregators.ExcessMTL()),
        ("LibMTL.ExcessMTL.eta1.0", lambda: aggregators.ExcessMTL(1.0)),
        (
            "torchjd.ExcessMTL.eta0.01.warmup0",
            lambda: as_torchjd(0.01, 0),
        ),
        ("torchjd.ExcessMTL.eta1.0.warmup0", lambda: as_torchjd(1.0, 0)),
        ("torchjd.ExcessMTL.eta1.0.warmup2", lambda: as_torchjd(1.0, 2)),
    ],
)
def test_golden_sequences(variant, make):
    values = load(f"sequences_{variant.split('.')[0].lower()}")
    count = 0
    for group in GROUPS:
        aggregator = make()
        for step, rows in enumerate(values[f"{group}/J"]):
            update = aggregator(tensor(rows))
            tolerance = by_dtype(update, 1e-9, 1e-4)
            for actual, entry in (
                (numpy(update), "vector"),
                (task_weights(aggregator), "weights"),
            ):
                np.testing.assert_allclose(
                    actual,
                    values[f"{variant}/{group}/{entry}"][step],
                    rtol=tolerance,
                    atol=tolerance,
                )
            count += 1
    assert count == 30


def test_the_formula_by_the_letter():
    generator = np.random.default_rng(0)
    aggregator = aggregators.ExcessMTL(0.5, num_warmup_steps=2)
    squares, baseline, weights = np.zeros((3, 4)), np.zeros(3), np.ones(3) / 3
    for step in range(5):
        rows = generator.normal(size=(3, 4))
        squares += rows**2
        excess = (rows**2 / np.sqrt(squares + 1e-7)).sum(axis=1)
        if step < 2:
            baseline += excess / 2
        else:
            weights = weights * np.exp(0.5 * excess / baseline)
            weights = weights / weights.sum()
        update = aggregator(tensor(rows))
        np.testing.assert_allclose(
            numpy(update), 3 * weights @ rows, rtol=1e-4, atol=1e-5
        )


def test_absent_tasks_wait():
    generator = np.random.default_rng(0)
    waiting = aggregators.ExcessMTL(1.0)
    alone = aggregators.ExcessMTL(1.0)
    for number in range(5):
        rows = generator.normal(size=(3, 4))
        mask = np.array([1.0, number % 2, 1.0])
        before = [numpy(v.value) for v in waiting.variables]
        update = waiting(tensor(rows), mask=tensor(mask))
        if number % 2 == 0:
            expected = alone(tensor(rows[[0, 2]]))
            if number == 0:
                np.testing.assert_allclose(
                    numpy(update), numpy(expected), rtol=1e-5
                )
            else:
                after = [numpy(v.value) for v in waiting.variables]
                for one, other in zip(before, after, strict=True):
                    np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(numpy(waiting.steps.value), [5, 2, 5])


def test_a_task_that_never_comes_makes_no_difference():
    generator = np.random.default_rng(1)
    for warmup in (0, 1, 2):
        with_it = aggregators.ExcessMTL(1.0, warmup)
        without = aggregators.ExcessMTL(1.0, warmup)
        mask = tensor(np.array([1.0, 0.0, 1.0]))
        for _ in range(4):
            rows = generator.normal(size=(3, 5))
            one = with_it(tensor(rows), mask=mask)
            other = without(tensor(rows[[0, 2]]))
            np.testing.assert_allclose(
                numpy(one), numpy(other), rtol=by_dtype(one, 1e-9, 1e-4)
            )


def test_a_task_without_a_gradient_gets_no_baseline():
    aggregator = aggregators.ExcessMTL(1.0)
    rows = np.array([[0.0, 0.0], [1.0, 2.0]])
    np.testing.assert_allclose(numpy(aggregator(tensor(rows))), [1.0, 2.0])
    np.testing.assert_array_equal(numpy(aggregator.steps.value), [0, 1])
    update = aggregator(tensor(np.array([[1.0, 0.0], [1.0, 2.0]])))
    assert np.isfinite(numpy(update)).all()
    np.testing.assert_array_equal(numpy(aggregator.steps.value), [1, 2])


def test_wild_sequences_stay_finite():
    generator = np.random.default_rng(2)
    for num_warmup_steps in (0, 1):
        aggregator = aggregators.ExcessMTL(1.0, num_warmup_steps)
        for scale in (1e-18, 1e15, 0.0, 1.0, 1e15, 1e-15):
            rows = generator.normal(size=(3, 4)) * scale
            rows[0] /= 1e10
            update = aggregator(tensor(rows, "float32"))
            assert np.isfinite(numpy(update)).all()
            for variable in aggregator.variables:
                assert np.isfinite(numpy(variable.value)).all()


def test_wrong_arguments():
    for value in (0, -1, float("nan"), "a", True):
        with pytest.raises(ValueError, match="Received: robust_step_size="):
            aggregators.ExcessMTL(value)
    for value in (-1, 1.5, True):
        with pytest.raises(ValueError, match="Received: num_warmup_steps="):
            aggregators.ExcessMTL(num_warmup_steps=value)
    with pytest.raises(ValueError, match="Received: scale=one"):
        aggregators.ExcessMTL(scale="one")
    with pytest.raises(ValueError, match="Received: epsilon=-1"):
        aggregators.ExcessMTL(epsilon=-1)
