import numpy as np
import pytest

from keras_mtl import aggregators
from tests.aggregators.test_modo import GROUPS
from tests.aggregators.test_modo import built
from tests.aggregators.test_modo import jacobians
from tests.aggregators.test_modo import normalized
from tests.backend_tools import by_dtype
from tests.backend_tools import compiled_aggregator
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import load


@pytest.mark.parametrize(
    "variant, learning_rate",
    [
        ("LibMTL.SDMGrad", 5.0),
        ("torchjd.SDMGrad", 10.0),
        ("torchjd.SDMGrad.lr5", 5.0),
    ],
)
def test_golden_sequences(variant, learning_rate):
    values = load(f"sequences_{variant.split('.')[0].lower()}")
    count = 0
    for group in GROUPS:
        steps = values[f"{group}/J3"]
        sdmgrad = built(
            aggregators.SDMGrad(learning_rate=learning_rate), steps.shape[2:]
        )
        for step, samples in enumerate(steps):
            # Theirs descends along the first sample.
            (update,) = sdmgrad.aggregate_samples(jacobians(samples[[1, 2, 0]]))
            wide = by_dtype(update, True, False)
            if not wide and step > 0:
                # The iterations amplify rounding errors.
                continue
            tolerance = 1e-7 if wide else 2e-3
            get = values.get
            prefix = f"{variant}/{group}"
            if variant.startswith("LibMTL"):
                expected = get(f"{prefix}/vector")[step]
                np.testing.assert_allclose(
                    normalized(numpy(sdmgrad.task_weights.value)),
                    get(f"{prefix}/w")[step],
                    atol=tolerance,
                )
            else:
                expected = get(f"{prefix}/weights")[step] @ samples[0]
            np.testing.assert_allclose(
                numpy(update), expected, rtol=tolerance, atol=tolerance
            )
            count += 1
    assert count == (30 if wide else 5)


def test_one_sample_takes_all_roles():
    rows = np.random.default_rng(0).normal(size=(3, 4))
    by_hand = aggregators.SDMGrad(samples=1)(tensor(rows))
    for samples in (1, 3):
        sdmgrad = built(aggregators.SDMGrad(samples=samples), (3, 4))
        (update,) = sdmgrad.aggregate_samples(jacobians([rows] * samples))
        np.testing.assert_allclose(numpy(update), numpy(by_hand), rtol=1e-3)


def test_without_pull_it_is_the_min_norm_point():
    rows = tensor(np.array([[1.0, 0.0], [0.0, 2.0]]))
    sdmgrad = aggregators.SDMGrad(0.0, learning_rate=0.3, num_iterations=200)
    np.testing.assert_allclose(numpy(sdmgrad(rows)), [0.8, 0.4], rtol=1e-4)


def test_a_strong_pull_gives_the_mean():
    rows = np.random.default_rng(0).normal(size=(3, 4))
    update = aggregators.SDMGrad(lamda=1e6)(tensor(rows))
    np.testing.assert_allclose(numpy(update), rows.mean(axis=0), rtol=1e-3)


def test_samples_in_a_graph():
    samples = np.random.default_rng(1).normal(size=(3, 3, 4))
    sdmgrad = built(aggregators.SDMGrad(learning_rate=0.5), (3, 4))
    (expected,) = sdmgrad.aggregate_samples(jacobians(samples))

    class Fed(aggregators.SDMGrad):
        """Takes the three Jacobians as three variables."""

        def aggregate(self, jacobian, losses=None, mask=None):
            parts = [
                aggregators.Jacobian(stacks=[stack])
                for stack in jacobian.stacks
            ]
            return self.aggregate_samples(parts, losses, mask)

    fed = Fed(learning_rate=0.5)
    call = compiled_aggregator(fed)
    (update,) = call([tensor(rows, "float32") for rows in samples])
    np.testing.assert_allclose(numpy(update), numpy(expected), rtol=1e-3)


def test_absent_tasks_wait():
    generator = np.random.default_rng(0)
    with_it = aggregators.SDMGrad(learning_rate=0.3)
    without = aggregators.SDMGrad(learning_rate=0.3)
    mask = tensor(np.array([1.0, 0.0, 1.0]))
    for _ in range(3):
        rows = generator.normal(size=(3, 4))
        update = with_it(tensor(rows), mask=mask)
        expected = without(tensor(rows[[0, 2]]))
        np.testing.assert_allclose(
            numpy(update), numpy(expected), rtol=by_dtype(update, 1e-9, 1e-3)
        )
        assert numpy(with_it.task_weights.value)[1] == 1


def test_wrong_arguments():
    with pytest.raises(ValueError, match="Received: lamda=-1"):
        aggregators.SDMGrad(-1)
    with pytest.raises(ValueError, match="Received: learning_rate=0"):
        aggregators.SDMGrad(learning_rate=0)
    for momentum in (-0.1, 1):
        with pytest.raises(ValueError, match="Received: momentum="):
            aggregators.SDMGrad(momentum=momentum)
    with pytest.raises(ValueError, match="Received: num_iterations=0"):
        aggregators.SDMGrad(num_iterations=0)
    with pytest.raises(ValueError, match="Received: samples=2"):
        aggregators.SDMGrad(samples=2)
    sdmgrad = built(aggregators.SDMGrad(), (2, 3))
    with pytest.raises(ValueError, match="3 Jacobians.*Received: 2"):
        sdmgrad.aggregate_samples(jacobians(np.ones((2, 2, 3))))


def test_a_preference_in_place_of_the_mean():
    rows = np.float32([[1.0, 0.0], [0.0, 1.0]])
    # So strong that the weights hardly matter.
    for preference in ([1.0, 0.0], [0.25, 0.75]):
        sdmgrad = aggregators.SDMGrad(lamda=1e6, preference=preference)
        update = numpy(sdmgrad(tensor(rows)))
        np.testing.assert_allclose(update, preference, atol=1e-5)
        config = sdmgrad.get_config()
        assert config["preference"] == preference
        other = aggregators.SDMGrad(lamda=1e6)
        other.set_preference(preference)
        np.testing.assert_array_equal(numpy(other(tensor(rows))), update)
    with pytest.raises(ValueError, match="2 entries for 3 tasks"):
        sdmgrad.from_config(config)(np.eye(3, dtype="float32"))
