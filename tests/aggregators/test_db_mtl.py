import numpy as np
import pytest

from keras_mtl import aggregators
from keras_mtl import strategies
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import load


@pytest.mark.parametrize(
    "beta, sigma", [(0.0, 0.0), (0.5, 0.5), (0.9, 0.0), (0.9, 0.5)]
)
def test_golden_sequences(beta, sigma):
    values = load("db_mtl")
    groups = [key.split("/")[0] for key in values if key.endswith("/J")]
    assert len(groups) == 5
    for group in groups:
        aggregator = aggregators.DBMTL(beta, sigma)
        prefix = f"beta{beta}.sigma{sigma}/{group}"
        for step, (rows, losses) in enumerate(
            zip(values[f"{group}/J"], values[f"{group}/L"], strict=True)
        ):
            rows = rows / (losses[:, None] + 1e-8)
            update = aggregator(tensor(rows))
            tolerance = by_dtype(update, 1e-9, 1e-4)
            np.testing.assert_allclose(
                numpy(update),
                values[f"{prefix}/vector"][step],
                rtol=tolerance,
                atol=tolerance,
            )
            if beta:
                np.testing.assert_allclose(
                    numpy(aggregator.averages[0].value),
                    values[f"{prefix}/buffer"][step],
                    rtol=tolerance,
                    atol=tolerance,
                )


def test_norms_are_balanced():
    update = aggregators.DBMTL(beta=0.0)([[1.0, 0.0], [0.0, 3.0]])
    np.testing.assert_allclose(numpy(update), [3, 3], rtol=1e-6)


def test_absent_tasks_wait():
    generator = np.random.default_rng(0)
    steps = generator.normal(size=(5, 3, 4))
    waiting = aggregators.DBMTL()
    for number, rows in enumerate(steps):
        mask = np.array([1.0, number % 2, 1.0])
        before = waiting.averages and numpy(waiting.averages[0].value)
        waiting(tensor(rows), mask=tensor(mask))
        if number % 2 == 0 and number:
            after = numpy(waiting.averages[0].value)
            np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_array_equal(numpy(waiting.steps.value), [5, 2, 5])
    # Task 1 is where it would be had there been only its own two steps.
    alone = aggregators.DBMTL()
    for rows in steps[1::2]:
        alone(tensor(rows))
    np.testing.assert_allclose(
        numpy(waiting.averages[0].value)[1],
        numpy(alone.averages[0].value)[1],
        rtol=1e-6,
    )


def test_no_memory_without_an_average():
    aggregator = aggregators.DBMTL(beta=0.0)
    aggregator([[1.0, 0.0], [0.0, 3.0]])
    assert not aggregator.variables


def test_wrong_arguments():
    for beta in (-0.1, 1.0, "a"):
        with pytest.raises(ValueError, match=f"Received: beta={beta}"):
            aggregators.DBMTL(beta=beta)
    for sigma in (-1, float("inf")):
        with pytest.raises(ValueError, match=f"Received: sigma={sigma}"):
            aggregators.DBMTL(sigma=sigma)
    for alignment in (-1, 1, 2.0, float("nan"), "a", True):
        with pytest.raises(ValueError, match="Argument `alignment` must be"):
            aggregators.DBMTL(alignment=alignment)
    for gate in ("sigmoid", 1.0, [], [0, 0], [1, -1], [1, float("inf")]):
        with pytest.raises(ValueError, match="Argument `gate` must be"):
            aggregators.DBMTL(gate=gate)
    with pytest.raises(ValueError, match="for 2 tasks"):
        aggregators.DBMTL(gate=[1, 2, 3])([[1.0], [2.0]])


def aligned(rows, tau):
    """The formula of GradVac against the sum, at the norm of the row."""
    norms = np.linalg.norm(rows, axis=1)
    rows = rows * (norms.max() / (norms + 1e-8))[:, None]
    total = rows.sum(axis=0)
    length = np.linalg.norm(total)
    result = []
    for row in rows:
        norm = np.linalg.norm(row)
        cosine = row @ total / norm / length
        if cosine < tau:
            row = (
                row
                + norm
                * (tau * np.sqrt(1 - cosine**2) - cosine * np.sqrt(1 - tau**2))
                / (length * np.sqrt(1 - tau**2))
                * total
            )
            assert abs(row @ total / np.linalg.norm(row) / length - tau) < 1e-9
            row = row * norm / np.linalg.norm(row)
        result.append(row)
    return np.array(result)


@pytest.mark.parametrize("tau", [-0.5, 0.0, 0.4, 0.9])
def test_alignment_by_the_letter(tau):
    generator = np.random.default_rng(0)
    turned = 0
    for num_tasks, size in ((2, 5), (3, 4), (6, 3), (8, 40)):
        rows = generator.normal(size=(num_tasks, size))
        rows[1:] += 2 * rows[1]
        rows[0] -= 2 * rows[1]
        rows = rows * 10.0 ** generator.integers(-2, 3, size=(num_tasks, 1))
        update = aggregators.DBMTL(beta=0.0, alignment=tau)(tensor(rows))
        plain = aggregators.DBMTL(beta=0.0)(tensor(rows))
        expected = aligned(rows, tau).sum(axis=0)
        scale = np.abs(rows).max()
        np.testing.assert_allclose(
            numpy(update),
            expected,
            rtol=by_dtype(update, 1e-9, 1e-3),
            atol=by_dtype(update, 1e-10, 1e-3) * scale,
        )
        turned += not np.allclose(expected, numpy(plain), rtol=1e-3)
    assert turned >= 2


def test_full_alignment_leaves_one_direction():
    rows = np.random.default_rng(1).normal(size=(6, 10))
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    update = aggregators.DBMTL(0.0, alignment=0.999999)(tensor(rows))
    total = (rows / norms).sum(axis=0)
    expected = 6 * norms.max() * total / np.linalg.norm(total)
    np.testing.assert_allclose(numpy(update), expected, atol=0.02)


def test_alignment_without_need_changes_nothing():
    rows = np.abs(np.random.default_rng(0).normal(size=(4, 6)))
    plain = aggregators.DBMTL(beta=0.0)(tensor(rows))
    update = aggregators.DBMTL(beta=0.0, alignment=0.1)(tensor(rows))
    np.testing.assert_allclose(numpy(update), numpy(plain), rtol=1e-6)


def test_alignment_of_opposed_gradients():
    # Their sum is zero: nothing to turn to.
    aligner = aggregators.DBMTL(beta=0.0, alignment=0.5)
    update = numpy(aligner([[1.0, 0.0], [-1.0, 0.0]]))
    np.testing.assert_allclose(update, 0, atol=1e-6)
    # One against two: it is opposed to the sum, and becomes half of a unit.
    update = numpy(aligner([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]))
    np.testing.assert_allclose(update, [2.5, 0], rtol=1e-5)


def test_a_fixed_gate():
    rows = np.array([[1.0, 0.0], [0.0, 3.0]])
    for gate in ([1, 3], (0.25, 0.75)):
        update = aggregators.DBMTL(beta=0.0, gate=gate)(tensor(rows))
        np.testing.assert_allclose(numpy(update), [1.5, 4.5], rtol=1e-6)
    even = aggregators.DBMTL(beta=0.0, gate=[2, 2])(tensor(rows))
    np.testing.assert_allclose(numpy(even), [3, 3], rtol=1e-6)
    # The mean is over the tasks that are there.
    gated = aggregators.DBMTL(beta=0.0, gate=[1, 5, 3])
    rows = np.array([[1.0, 0.0], [7.0, 7.0], [0.0, 3.0]])
    update = gated(tensor(rows), mask=tensor(np.array([1.0, 0.0, 1.0])))
    np.testing.assert_allclose(numpy(update), [1.5, 4.5], rtol=1e-6)
    nobody = aggregators.DBMTL(beta=0.0, gate=[0, 1, 0])(
        tensor(rows), mask=tensor(np.array([1.0, 0.0, 1.0]))
    )
    np.testing.assert_array_equal(numpy(nobody), [0, 0])


def famo(logits, decreases):
    """Adam on the gradient of the softmax, by the letter."""
    first = second = np.zeros_like(logits)
    for step, decrease in enumerate(decreases, 1):
        shares = np.exp(logits) / np.exp(logits).sum()
        gradient = shares * (decrease - shares @ decrease) + 1e-3 * logits
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        logits = logits - 0.025 * (first / (1 - 0.9**step)) / (
            np.sqrt(second / (1 - 0.999**step)) + 1e-8
        )
    return logits


def test_a_learned_gate():
    generator = np.random.default_rng(0)
    gated = aggregators.DBMTL(beta=0.0, gate="softmax")
    assert gated.observes and not aggregators.DBMTL().observes
    rows = np.eye(3)
    first = numpy(gated(tensor(rows)))
    np.testing.assert_allclose(first, [1, 1, 1], rtol=1e-6)
    losses = generator.uniform(0.5, 2, size=(12, 3))
    # The last task gets better by the most, the first one by the least.
    after = losses * np.array([1.0, 0.9, 0.5])
    for old, new in zip(losses, after, strict=True):
        gated.observe(tensor(old), tensor(new))
    logits = numpy(gated.gate_state[0].value)
    expected = famo(np.zeros(3), np.log(losses + 1e-8) - np.log(after + 1e-8))
    tolerance = by_dtype(gated.gate_state[0].value, 1e-9, 1e-3)
    np.testing.assert_allclose(logits, expected, rtol=max(tolerance, 1e-4))
    weights = numpy(gated(tensor(rows)))
    assert weights[0] > weights[1] > weights[2] > 0
    np.testing.assert_allclose(weights.mean(), 1, rtol=1e-5)
    gated.state_reset()
    np.testing.assert_allclose(numpy(gated(tensor(rows))), first)


def test_the_gate_of_an_absent_task_waits():
    gated = aggregators.DBMTL(gate="softmax")
    rows = np.random.default_rng(0).normal(size=(3, 4))
    mask = tensor(np.array([1.0, 0.0, 1.0]))
    gated(tensor(rows))
    gated.observe(tensor(np.ones(3)), tensor(np.array([0.5, 0.9, 1.1])))
    before = [numpy(v.value) for v in gated.gate_state]
    gated.observe(
        tensor(np.array([1.0, 0.0, 1.0])),
        tensor(np.array([0.5, 0.0, 1.1])),
        mask,
    )
    after = [numpy(v.value) for v in gated.gate_state]
    for one, other in zip(before, after, strict=True):
        assert one[1] == other[1]
        assert one[0] != other[0] and one[2] != other[2]
    np.testing.assert_array_equal(after[3], [2, 1, 2])


def test_the_preset_passes_the_extensions_on():
    strategy = strategies.DBMTL(0.5, alignment=0.1, gate=[1, 2])
    assert strategy.aggregator.alignment == 0.1
    copy = strategies.DBMTL.from_config(strategy.get_config())
    assert copy.get_config() == strategy.get_config()
    assert copy.aggregator.gate == (1.0, 2.0)
    assert strategies.DBMTL().aggregator.alignment is None


def test_powers_are_as_precise_as_the_gradients():
    # An exponent that float32 does not have.
    rows, beta = np.eye(2), 0.9 / 2**0.3
    db_mtl = aggregators.DBMTL(sigma=0.3)
    moco = aggregators.MoCo(beta=0.9, beta_sigma=0.3, gamma=0.0)
    for _ in range(2):
        update = db_mtl(tensor(rows))
        tracked = moco(tensor(rows), losses=tensor(np.ones(2)))
    tolerance = by_dtype(update, 1e-13, 1e-5)
    average = 0.1 * beta + (1 - beta)
    np.testing.assert_allclose(
        numpy(update), average**2 / (average + 1e-8), rtol=tolerance
    )
    share = (1 - beta) * 0.9 + beta
    np.testing.assert_allclose(
        numpy(tracked), share / 2 / (1 + 1e-8), rtol=tolerance
    )
