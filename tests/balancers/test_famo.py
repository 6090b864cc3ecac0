import numpy as np
import pytest

from keras_mtl import balancers
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.balancers.tools import call
from tests.balancers.tools import check
from tests.balancers.tools import published


@pytest.mark.parametrize(
    "variant", ["torchjd.FAMO", "torchjd.FAMO.min_losses", "LibMTL.FAMO"]
)
def test_published_values(variant):
    count = 0
    for group, inputs, get in published(variant):
        balancer = balancers.FAMO()
        if variant.endswith("min_losses"):
            balancer = balancers.FAMO(min_losses=get("min_losses"))
        for row, losses in enumerate(inputs("L")):
            label = f"{variant} {group} {row}"
            # Adam divides gradients by their own size: in float32 the small
            # differences of logarithms have four digits.
            weights = call(balancer, losses)
            check(weights, get("grad")[row], label, single=1e-4)
            if row:
                logits = balancer.logits.value
                check(logits, get("logits")[row], label, single=1e-3)
            balancer.observe(tensor(losses), tensor(inputs("L_after")[row]))
            count += 1
        logits = balancer.logits.value
        check(logits, get("logits_final"), variant, single=1e-3)
    assert count == 32


def test_weights_add_up_to_one_and_favour_small_losses():
    weights = numpy(call(balancers.FAMO(), [0.5, 2.0, 1.0]))
    np.testing.assert_allclose(weights, np.array([4, 1, 2]) / 7, rtol=1e-6)


def test_tasks_that_improve_least_gain_weight():
    balancer = balancers.FAMO()
    before = numpy(call(balancer, [1.0, 1.0, 1.0]))
    for _ in range(3):
        balancer.observe(tensor([1.0, 1.0, 1.0]), tensor([0.5, 0.9, 1.1]))
    after = numpy(call(balancer, [1.0, 1.0, 1.0]))
    assert after[0] < before[0] and after[2] > before[2]
    assert after[1] < after[2]


def test_a_call_reads_only():
    balancer = balancers.FAMO()
    call(balancer, [1.0, 2.0])
    balancer.observe(tensor([1.0, 2.0]), tensor([0.9, 2.0]))
    before = [np.array(numpy(v.value)) for v in balancer.variables]
    call(balancer, [3.0, 0.5])
    for old, variable in zip(before, balancer.variables, strict=True):
        np.testing.assert_array_equal(numpy(variable.value), old)
    assert any(old.any() for old in before)


def test_observing_comes_first():
    balancer = balancers.FAMO()
    balancer.observe(tensor([1.0, 2.0]), tensor([0.9, 2.0]))
    assert numpy(balancer.logits.value)[0] < 0


def test_absent_tasks_do_not_count_in_the_gradient():
    whole, part = balancers.FAMO(), balancers.FAMO()
    mask = np.array([1.0, 0.0, 1.0])
    for new in ([0.9, 5.0, 1.0], [0.8, 0.1, 1.2]):
        new = np.array(new)
        whole.observe(tensor(np.ones(3)), tensor(new), tensor(mask))
        part.observe(tensor(np.ones(2)), tensor(new[[0, 2]]))
    np.testing.assert_allclose(
        numpy(whole.logits.value)[[0, 2]], numpy(part.logits.value), rtol=1e-5
    )
    assert numpy(whole.logits.value)[1] == 0


def test_decay_pulls_the_weights_together():
    ends = []
    for gamma in (0.0, 1.0):
        balancer = balancers.FAMO(gamma=gamma)
        for _ in range(20):
            balancer.observe(tensor([1.0, 1.0]), tensor([0.5, 1.0]))
        ends.append(np.abs(numpy(balancer.logits.value)).max())
    assert ends[1] < ends[0]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"gamma": -1.0}, "gamma=-1.0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"min_losses": [[1.0]]}, "min_losses="),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        balancers.FAMO(**arguments)


def test_wrong_size():
    with pytest.raises(ValueError, match="2 entries for 3 tasks"):
        call(balancers.FAMO(min_losses=[0.0, 0.0]), [1.0, 1.0, 1.0])
