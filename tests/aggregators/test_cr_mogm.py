import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import load

GROUPS = ("k2p10", "k3p2", "k3p10", "k5p10", "k8p10")
METHODS = {
    "IMTLG": (aggregators.IMTLG, 1e-8),
    # The reference solves MGDA's problem to 3e-2 of the largest norm.
    "MGDA": (aggregators.MGDA, 3e-2),
    "UPGrad": (lambda: aggregators.UPGrad(norm_eps=1e-4, reg_eps=1e-4), 1e-7),
}


@pytest.mark.parametrize(
    "method, alpha, start",
    [
        *[(method, alpha, "") for method in METHODS for alpha in (0.5, 0.9)],
        ("UPGrad", 0.9, ".init"),
    ],
)
def test_golden_values(method, alpha, start):
    make, float64_tolerance = METHODS[method]
    values = load("sequences_torchjd")
    variant = f"torchjd.CRMOGM.{method}.alpha{alpha}{start}"
    count = 0
    for group in GROUPS:
        jacobians = values[f"{group}/J"]
        num_tasks = jacobians.shape[1]
        initial = np.ones(num_tasks) / num_tasks if start else None
        smooth = aggregators.CRMOGM(make(), alpha, initial)
        for step, rows in enumerate(jacobians):
            update = smooth(tensor(rows))
            tolerance = by_dtype(
                update, float64_tolerance, max(float64_tolerance, 2e-3)
            )
            assert_near(
                numpy(update),
                values[f"{variant}/{group}/vector"][step],
                tolerance,
                np.linalg.norm(rows, axis=1).max(),
                f"{variant} {group} {step}",
            )
            count += 1
    assert count == 30


def test_the_moving_average():
    generator = np.random.default_rng(0)
    smooth = aggregators.CRMOGM(aggregators.MGDA(), alpha=0.7)
    average = None
    for _ in range(4):
        rows = generator.normal(size=(3, 8))
        gramian = tensor(rows @ rows.T)
        new = numpy(aggregators.MGDA().compute_weights(gramian))
        average = new if average is None else 0.7 * average + 0.3 * new
        np.testing.assert_allclose(
            numpy(smooth(tensor(rows))), average @ rows, rtol=1e-4, atol=1e-6
        )


def test_an_absent_task_keeps_its_weight():
    generator = np.random.default_rng(0)
    smooth = aggregators.CRMOGM(aggregators.MGDA(), alpha=0.5)
    mask = tensor(np.array([1.0, 1.0, 0.0]))
    rows = generator.normal(size=(3, 8))
    smooth(tensor(rows), mask=mask)
    assert numpy(smooth.averages.value)[2] == 0
    assert numpy(smooth.steps.value).tolist() == [1, 1, 0]
    # Its first step is the first it is there.
    rows = generator.normal(size=(3, 8))
    smooth(tensor(rows))
    new = numpy(aggregators.MGDA().compute_weights(tensor(rows @ rows.T)))
    before = numpy(smooth.averages.value)
    np.testing.assert_allclose(before[2], new[2], rtol=1e-5)
    weights = smooth.compute_weights(tensor(rows @ rows.T), mask=mask)
    assert numpy(weights)[2] == 0
    after = numpy(smooth.averages.value)
    assert (after != before).tolist() == [True, True, False]


def test_state_reset_resets_the_wrapped_method():
    rows = tensor(np.random.default_rng(0).normal(size=(3, 8)))
    smooth = aggregators.CRMOGM(
        aggregators.Random(seed=1), 0.5, initial_weights=[1.0, 2.0, 3.0]
    )
    first = [numpy(smooth(rows)) for _ in range(3)]
    smooth.state_reset()
    np.testing.assert_allclose(
        numpy(smooth.averages.value), [1, 2, 3], rtol=1e-6
    )
    second = [numpy(smooth(rows)) for _ in range(3)]
    np.testing.assert_array_equal(first, second)


def test_config_and_siblings():
    smooth = aggregators.CRMOGM(
        aggregators.PCGrad("mean", seed=3), 0.25, [0.5, 0.5, 0.0]
    )
    copy = aggregators.deserialize(aggregators.serialize(smooth))
    assert copy.get_config() == smooth.get_config()
    assert copy.aggregator.reduction == "mean"
    sibling = smooth.sibling(2)
    assert sibling.aggregator is not smooth.aggregator
    assert sibling.aggregator.seed not in (None, 3)
    assert sibling.alpha == 0.25
    assert sibling.initial_weights == (0.5, 0.5, 0.0)
    assert sibling.name != smooth.name


def test_the_wrapped_state_is_part_of_the_state():
    smooth = aggregators.CRMOGM(aggregators.GradVac(seed=1))
    smooth(tensor(np.eye(3)))
    paths = [variable.path for variable in smooth.variables]
    assert sum("targets" in path for path in paths) == 1
    assert sum("averages" in path for path in paths) == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((None,), "`GramianAggregator`.*Received: aggregator=None"),
        ((3,), "a name, a config or an instance.*Received: 3"),
        (("db_mtl",), "`GramianAggregator`"),
        ((aggregators.DBMTL(),), "`GramianAggregator`"),
        ((aggregators.NTKMTL(n=2),), "one sample"),
        ((aggregators.MGDA(), 1.5), "alpha=1.5"),
        ((aggregators.MGDA(), 0.5, []), "`initial_weights`"),
        ((aggregators.MGDA(), 0.5, [float("nan")]), "`initial_weights`"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        aggregators.CRMOGM(*arguments)


def test_wrong_number_of_initial_weights():
    smooth = aggregators.CRMOGM(aggregators.MGDA(), 0.5, [0.5, 0.5])
    with pytest.raises(ValueError, match="2 entries for 3 tasks"):
        smooth(np.ones((3, 4), "float32"))


def test_the_wrapped_method_by_name():
    rows = tensor(np.array([[1.0, 0.0], [0.0, 2.0]], "float32"))
    named = aggregators.CRMOGM("mgda", alpha=0.5)
    assert type(named.aggregator) is aggregators.MGDA
    config = aggregators.serialize(aggregators.MGDA("l2"))
    assert aggregators.CRMOGM(config).aggregator.normalization == "l2"
    # 1 / |g|^2, divided by their sum.
    np.testing.assert_allclose(numpy(named(rows)), [0.8, 0.4], rtol=1e-6)
    copy = aggregators.deserialize(aggregators.serialize(named))
    assert type(copy.aggregator) is aggregators.MGDA
    with pytest.raises(ValueError, match="Did you mean 'mgda'"):
        aggregators.CRMOGM("mdga")
