"""An aggregation per group of variables."""

import numpy as np
import pytest

from keras_mtl import aggregators
from keras_mtl.gradients.jacobian import Jacobian
from tests.backend_tools import compiled_aggregator
from tests.backend_tools import numpy
from tests.backend_tools import tensor

LOSSES = np.array([0.5, 2.0, 1.0], dtype="float32")
MEMBERS = {
    "mgda": aggregators.MGDA,
    "pcgrad": lambda: aggregators.PCGrad(seed=3),
    "db_mtl": aggregators.DBMTL,
    "nash_mtl": aggregators.NashMTL,
    "grad_norm": aggregators.GradNorm,
    "cr_mogm": lambda: aggregators.CRMOGM(aggregators.MGDA()),
}


def stacks(seed=0):
    generator = np.random.default_rng(seed)
    return [
        generator.normal(size=(3, *shape)).astype("float32")
        for shape in ((4, 2), (2,), (5,))
    ]


def grouped(name, groups=None):
    aggregator = aggregators.Grouped(MEMBERS[name]())
    if groups is not None:
        aggregator.set_groups(groups)
    return aggregator


def call(aggregator, parts, mask=None):
    return [
        numpy(part)
        for part in aggregator(
            [tensor(part) for part in parts],
            losses=tensor(LOSSES),
            mask=None if mask is None else tensor(np.array(mask, "float32")),
        )
    ]


def test_by_hand():
    update = aggregators.Grouped(aggregators.MGDA())(
        [tensor(np.array([[1.0], [-1.0]], "float32")), tensor([[2.0], [2.0]])]
    )
    np.testing.assert_allclose(
        [numpy(part) for part in update], [[0.0], [2.0]], atol=1e-6
    )


@pytest.mark.parametrize("name", MEMBERS)
def test_each_group_is_merged_for_itself(name):
    together = grouped(name, [[0, 2], [1]])
    alone = [MEMBERS[name](), MEMBERS[name]().sibling(101)]
    for step in range(3):
        parts = stacks(step)
        mask = [1, step % 2, 1]
        actual = call(together, parts, mask)
        first, third = call(alone[0], [parts[0], parts[2]], mask)
        (second,) = call(alone[1], [parts[1]], mask)
        for one, other in zip(actual, (first, second, third), strict=True):
            np.testing.assert_array_equal(one, other)


def test_random_numbers_are_not_shared():
    # Two groups of the same gradients, which an order of tasks decides about.
    aggregator = grouped("pcgrad")
    generator = np.random.default_rng(0)
    part = generator.normal(size=(3, 2)).astype("float32")
    updates = [call(aggregator, [part, part]) for _ in range(20)]
    assert any(np.abs(one - other).max() > 1e-3 for one, other in updates)


def test_one_group_is_no_group():
    for name, member in MEMBERS.items():
        expected = call(member(), stacks())
        actual = call(grouped(name, [[0, 1, 2]]), stacks())
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", MEMBERS)
def test_an_absent_task_is_a_removed_task(name):
    if name == "pcgrad":
        pytest.skip("It draws an order of two in place of three.")
    actual = call(grouped(name), stacks(), [1, 0, 1])
    fewer = [part[[0, 2]] for part in stacks()]
    expected = grouped(name)(
        [tensor(part) for part in fewer], losses=tensor(LOSSES[[0, 2]])
    )
    for one, other in zip(actual, expected, strict=True):
        # As of the aggregators themselves, in float32.
        np.testing.assert_allclose(one, numpy(other), rtol=1e-3, atol=1e-3)
    for part in call(grouped(name), stacks(), [0, 0, 0]):
        np.testing.assert_array_equal(part, np.zeros_like(part))


@pytest.mark.parametrize("name", ["db_mtl", "pcgrad"])
def test_graph_equals_eager(name):
    in_graph, eager = grouped(name), grouped(name)
    aggregate = compiled_aggregator(in_graph)
    for step in range(3):
        parts = [tensor(part) for part in stacks(step)]
        mask = tensor(np.array([1, 1, step % 2], "float32"))
        actual = aggregate(parts, tensor(LOSSES), mask)
        expected = eager(parts, losses=tensor(LOSSES), mask=mask)
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_allclose(
                numpy(one), numpy(other), rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("name", MEMBERS)
def test_reset_and_config(name):
    aggregator = grouped(name)
    copy = aggregators.deserialize(aggregators.serialize(aggregator))
    assert copy.get_config() == aggregator.get_config()
    first = [call(aggregator, stacks(step)) for step in range(2)]
    aggregator.state_reset()
    second = [call(aggregator, stacks(step)) for step in range(2)]
    third = [call(copy, stacks(step)) for step in range(2)]
    for one, other, copied in zip(first, second, third, strict=True):
        for a, b, c in zip(one, other, copied, strict=True):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(a, c)


def test_state_of_all_groups_is_among_the_variables():
    aggregator = grouped("db_mtl")
    call(aggregator, stacks())
    paths = [v.path for v in aggregator.variables]
    assert len(paths) == len(set(paths))
    assert len(paths) == 3 * len(aggregator.members[0].variables)


def test_samples():
    aggregator = aggregators.Grouped(aggregators.MoDo())
    assert aggregator.samples == aggregators.MoDo().samples
    parts = [stacks(seed) for seed in range(aggregator.samples)]
    aggregator.build([part.shape for part in parts[0]])
    update = aggregator.aggregate_samples(
        [Jacobian(stacks=[tensor(p) for p in part]) for part in parts]
    )
    for index, one in enumerate(update):
        alone = aggregators.MoDo()
        alone.build([parts[0][index].shape])
        (other,) = alone.aggregate_samples(
            [Jacobian(stacks=[tensor(part[index])]) for part in parts]
        )
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-6)


def test_what_is_no_aggregator():
    with pytest.raises(ValueError, match="Received: aggregator=None"):
        aggregators.Grouped(None)
    with pytest.raises(ValueError, match="a name, a config or an instance"):
        aggregators.Grouped(aggregators.MGDA)


def test_the_method_by_name():
    grouped = aggregators.Grouped("mgda")
    assert type(grouped.aggregator) is aggregators.MGDA
    with pytest.raises(ValueError, match="Unknown aggregator: 'nothing'"):
        aggregators.Grouped("nothing")
