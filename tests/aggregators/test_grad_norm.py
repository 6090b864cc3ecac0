import numpy as np
import pytest

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import load

GROUPS = ("k2p10", "k3p10", "k5p10", "k8p10", "k3p2")


def softmax(logits):
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def test_golden_sequences():
    values = load("sequences_libmtl")
    count = 0
    for group in GROUPS:
        grad_norm = aggregators.GradNorm(alpha=1.5, learning_rate=0.1)
        prefix = f"LibMTL.GradNorm/{group}"
        scales = values[f"{prefix}/loss_scale"]
        for step, (rows, losses) in enumerate(
            zip(values[f"{group}/J"], values[f"{group}/L"], strict=True)
        ):
            update = grad_norm(tensor(rows), losses=tensor(losses))
            tolerance = by_dtype(update, 1e-9, 1e-4)
            np.testing.assert_allclose(
                numpy(update),
                values[f"{prefix}/vector"][step],
                rtol=tolerance,
                atol=tolerance,
            )
            if step + 1 < len(scales):
                # Theirs start from 1, and shifts make no difference.
                logits = numpy(grad_norm.logits.value)
                np.testing.assert_allclose(
                    len(rows) * softmax(logits),
                    values[f"{prefix}/weights"][step + 1],
                    rtol=tolerance,
                )
                np.testing.assert_allclose(
                    logits - logits.mean(),
                    scales[step + 1] - scales[step + 1].mean(),
                    rtol=tolerance,
                    atol=tolerance,
                )
            count += 1
    assert count == 30


def test_the_gradient_is_that_of_the_objective():
    generator = np.random.default_rng(0)
    rows, losses = generator.normal(size=(4, 6)), generator.uniform(size=4)
    grad_norm = aggregators.GradNorm(1.5, 0.1)
    grad_norm(tensor(rows), losses=tensor(losses))
    logits = numpy(grad_norm.logits.value)
    new_losses = losses * generator.uniform(0.2, 1.0, size=4)
    norms = np.linalg.norm(rows, axis=1)
    rates = new_losses / losses
    rates = (rates / rates.mean()) ** 1.5
    target = rates * (4 * softmax(logits) * norms).mean()

    def objective(logits):
        return np.abs(4 * softmax(logits) * norms - target).sum()

    step = 1e-6
    slopes = [
        (objective(logits + step * e) - objective(logits - step * e)) / 2 / step
        for e in np.eye(4)
    ]
    grad_norm(tensor(rows), losses=tensor(new_losses))
    moved = (logits - numpy(grad_norm.logits.value)) / 0.1
    np.testing.assert_allclose(moved, slopes, rtol=1e-3, atol=1e-4)


def test_equal_norms_at_alpha_zero():
    rows = tensor(np.array([[1.0, 0.0], [0.0, 4.0]]))
    grad_norm = aggregators.GradNorm(alpha=0.0, learning_rate=0.01)
    for _ in range(300):
        update = grad_norm(rows, losses=[1.0, 1.0])
    update = numpy(update)
    assert abs(update[0] / update[1] - 1) < 0.05
    assert abs(update[0] + update[1] / 4 - 2) < 1e-4


def test_absent_tasks_wait():
    generator = np.random.default_rng(0)
    grad_norm = aggregators.GradNorm(learning_rate=0.1)
    without = aggregators.GradNorm(learning_rate=0.1)
    for _ in range(3):
        rows, losses = generator.normal(size=(3, 4)), generator.uniform(size=3)
        update = grad_norm(
            tensor(rows),
            losses=tensor(losses),
            mask=tensor(np.array([1.0, 0.0, 1.0])),
        )
        expected = without(tensor(rows[[0, 2]]), losses=tensor(losses[[0, 2]]))
        np.testing.assert_allclose(
            numpy(update), numpy(expected), rtol=by_dtype(update, 1e-9, 1e-4)
        )
    assert numpy(grad_norm.logits.value)[1] == 0
    assert numpy(grad_norm.first_losses.value)[1] == 0
    before = numpy(grad_norm.first_losses.value)
    grad_norm(tensor(rows), losses=tensor(np.array([7.0, 8.0, 9.0])))
    np.testing.assert_allclose(
        numpy(grad_norm.first_losses.value), [before[0], 8.0, before[2]]
    )


def test_no_inner_products():
    class Watched(aggregators.Jacobian):
        def gramian(self):
            raise AssertionError("The Gramian is not needed.")

    grad_norm = aggregators.GradNorm()
    grad_norm.build([(2, 3)])
    grad_norm.aggregate(Watched(stacks=[tensor(np.ones((2, 3)))]), [1.0, 2.0])


def test_wrong_arguments():
    for value in (-0.1, float("nan"), "a"):
        with pytest.raises(ValueError, match="Received: alpha="):
            aggregators.GradNorm(value)
    with pytest.raises(ValueError, match="Received: learning_rate=0"):
        aggregators.GradNorm(learning_rate=0)
    with pytest.raises(ValueError, match="needs the task losses"):
        aggregators.GradNorm()([[1.0, 2.0]])
