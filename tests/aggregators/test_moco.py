import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import load

GROUPS = ("k2p10", "k3p10", "k5p10", "k8p10", "k3p2")


def normalized(values):
    return values / values.sum()


@pytest.mark.parametrize("rho", [0.0, 0.1])
def test_golden_sequences(rho):
    values = load("sequences_libmtl")
    count = 0
    for group in GROUPS:
        moco = aggregators.MoCo(rho=rho)
        prefix = f"LibMTL.MoCo.rho{rho}/{group}"
        for step, (rows, losses) in enumerate(
            zip(values[f"{group}/J"], values[f"{group}/L"], strict=True)
        ):
            update = moco(tensor(rows), losses=tensor(losses))
            tolerance = by_dtype(update, 1e-9, 1e-4)
            for actual, entry in (
                (numpy(update), "vector"),
                (numpy(moco.averages[0].value), "y"),
                (normalized(numpy(moco.task_weights.value)), "weights"),
            ):
                np.testing.assert_allclose(
                    actual,
                    values[f"{prefix}/{entry}"][step],
                    rtol=tolerance,
                    atol=tolerance,
                )
            count += 1
    assert count == 30


def test_absent_tasks_wait():
    generator = np.random.default_rng(0)
    steps = generator.normal(size=(5, 3, 4))
    losses = tensor(np.array([1.0, 2.0, 0.5]))
    moco = aggregators.MoCo(gamma=1.0)
    for number, rows in enumerate(steps):
        mask = np.array([1.0, number % 2, 1.0])
        before = [numpy(v.value) for v in moco.variables]
        moco(tensor(rows), losses=losses, mask=tensor(mask))
        after = [numpy(v.value) for v in moco.variables]
        if number % 2 == 0 and number:
            for one, other in zip(before, after, strict=True):
                np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(numpy(moco.steps.value), [5, 2, 5])


def test_a_task_that_never_comes_makes_no_difference():
    generator = np.random.default_rng(1)
    with_it = aggregators.MoCo(gamma=1.0)
    without = aggregators.MoCo(gamma=1.0)
    mask = tensor(np.array([1.0, 0.0, 1.0]))
    for _ in range(4):
        rows = generator.normal(size=(3, 5))
        losses = generator.uniform(size=3)
        one = with_it(tensor(rows), losses=tensor(losses), mask=mask)
        other = without(tensor(rows[[0, 2]]), losses=tensor(losses[[0, 2]]))
        np.testing.assert_allclose(
            numpy(one), numpy(other), rtol=by_dtype(one, 1e-9, 1e-4)
        )


def test_example():
    update = aggregators.MoCo()([[2.0, 0.0], [0.0, 3.0]], losses=[1.0, 1.0])
    np.testing.assert_allclose(numpy(update), [0.25, 0.25], rtol=1e-5)


def test_wrong_arguments():
    for argument in ("beta", "beta_sigma", "gamma", "gamma_sigma", "rho"):
        for value in (-0.1, float("inf"), float("nan"), "a"):
            with pytest.raises(ValueError, match=f"Received: {argument}="):
                aggregators.MoCo(**{argument: value})
    for beta in (0, 1.1):
        with pytest.raises(ValueError, match="Received: beta="):
            aggregators.MoCo(beta=beta)
    with pytest.raises(ValueError, match="needs the task losses"):
        aggregators.MoCo()([[1.0, 2.0]])
