import numpy as np
import pytest

from keras_mtl import aggregators
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
