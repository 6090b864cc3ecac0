"""Nash-MTL and FairGrad, which share a solver."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_mtl import aggregators
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.golden_data import assert_near
from tests.golden_data import cases
from tests.golden_data import load

MAKERS = {
    "fair 1": lambda: aggregators.FairGrad(1.0),
    "fair 2": lambda: aggregators.FairGrad(2.0),
    "nash": lambda: aggregators.NashMTL(max_norm=0),
}


#: The published solvers may stop at once in these, at their starting value.
STOPPED_EARLY = (
    "all_equal",
    "huge_task",
    "large_scale",
    "opposed",
    "tiny_scale",
    "zero_row",
)


def arrived(rows, weights, power=1.0):
    """Whether a published solver found the solution, up to its length."""
    if not np.isfinite(weights).all() or weights.min() <= 0:
        return False
    gains = (rows @ rows.T @ weights) * weights**power
    return gains.min() > 0 and gains.max() / gains.min() - 1 < 1e-5


def compare(file, variant, make, published=False, tolerance=1e-8):
    count = 0
    skip = STOPPED_EARLY if published else ()
    for label, rows, _, get, slack in cases(file, variant, skip):
        power = 0.5 if variant.endswith("alpha2") else 1.0
        if published and not arrived(rows, get("weights"), power):
            continue
        update = make()(tensor(rows))
        is_single = by_dtype(update, 64, 32) == 32
        if is_single and (
            slack > 1e-12
            or label.endswith(("near_collinear", "huge_task", "conflicting"))
        ):
            continue
        assert_near(
            numpy(update),
            get("vector"),
            by_dtype(update, max(tolerance, slack), 1e-4),
            label=label,
        )
        count += 1
    return count


@pytest.mark.parametrize(
    "file, variant, name",
    [
        ("fairgrad", "exact.alpha1", "fair 1"),
        ("fairgrad", "exact.alpha2", "fair 2"),
        ("nashmtl", "exact.G", "nash"),
        ("nashmtl", "exact.G", "fair 1"),
    ],
)
def test_exact_values(file, variant, name):
    assert compare(file, variant, MAKERS[name]) > 15


@pytest.mark.parametrize(
    "file, variant, name",
    [
        ("fairgrad", "torchjd.FairGrad.alpha1", "fair 1"),
        ("fairgrad", "LibMTL.FairGrad.alpha1", "fair 1"),
        ("fairgrad", "torchjd.FairGrad.alpha2", "fair 2"),
        ("nashmtl", "torchjd.NashMTL.max_norm0", "nash"),
        ("nashmtl", "LibMTL.Nash_MTL.max_norm0", "nash"),
        ("nashmtl", "nashmtl.NashMTL.max_norm0", "nash"),
        ("nashmtl", "torchjd.NashMTL.max_norm1", None),
        ("nashmtl", "LibMTL.Nash_MTL.max_norm1", None),
        ("nashmtl", "nashmtl.NashMTL.max_norm1", None),
    ],
)
def test_published_values(file, variant, name):
    # Where the published solver arrived.
    make = MAKERS[name] if name else aggregators.NashMTL
    assert compare(file, variant, make, True, 2e-5) > 7


@pytest.mark.parametrize("library", ["LibMTL", "nashmtl", "torchjd"])
@pytest.mark.parametrize("every", [1, 2])
def test_published_sequences(library, every):
    values = load(f"sequences_{library.lower()}")
    name = "Nash_MTL" if library == "LibMTL" else "NashMTL"
    count = 0
    for group in ("k2p10", "k3p10", "k5p10", "k8p10"):
        prefix = f"{library}.{name}.every{every}/{group}"
        aggregator = aggregators.NashMTL(update_every=every)
        for step, rows in enumerate(values[f"{group}/J"]):
            update = aggregator(tensor(rows))
            solved = step - step % every
            if not arrived(
                values[f"{group}/J"][solved],
                values[f"{prefix}/weights"][solved],
            ):
                continue
            assert_near(
                numpy(update),
                values[f"{prefix}/vector"][step],
                by_dtype(update, 1e-4, 1e-3),
                label=f"{prefix} step {step}",
            )
            count += 1
    assert count > 8


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(0, 52),
    st.integers(0, 2**31),
    st.integers(-15, 10),
    st.integers(0, 4),
)
def test_every_task_gains(name, num_tasks, extra, seed, exponent, spread):
    generator = np.random.default_rng(seed)
    # Independent rows: 0 is not in their hull.
    rows = generator.normal(size=(num_tasks, num_tasks + extra + 2))
    rows *= 10.0 ** generator.uniform(0, spread, size=(num_tasks, 1))
    rows *= 10.0**exponent
    aggregator = MAKERS[name]()
    weights = numpy(aggregator.compute_weights(tensor(rows @ rows.T)))
    update = weights @ rows
    power = 0.5 if name == "fair 2" else 1.0
    single = by_dtype(tensor(rows), 0, 1)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    gains = units @ update
    cosines = units @ units.T
    easy = np.linalg.eigvalsh(cosines).min() > (1e-2 if single else 1e-4)
    if easy and spread <= 2:
        np.testing.assert_allclose(
            (rows @ update) * weights**power, 1, rtol=5e-2 if single else 1e-6
        )
        assert (gains > 0).all()
    assert np.isfinite(update).all()


@pytest.mark.parametrize("name", MAKERS)
def test_without_a_solution(name):
    """The answer is that of the problem with a ridge, and is counted."""
    rows = np.array([[1.0, 0.0], [-2.0, 0.0]])
    aggregator = MAKERS[name]()
    aggregator.build([rows.shape])
    update = aggregator(tensor(rows))
    # Two unit rows, opposed: (1 + ridge) x - x = push, with no difference
    # that a direction could make.
    assert np.abs(numpy(update)).max() < 1e-2
    aggregator(tensor(np.eye(2)))
    (notice,) = aggregator.notices()
    assert "in 1 step(s)" in notice
    assert aggregator.notices() == []


def test_opposed_pairs_leave_the_rest_alone():
    rows = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]])
    update = aggregators.NashMTL(max_norm=0)(tensor(rows))
    # In float32 the ridge of 1e-4 takes half of that from the third.
    tolerance = by_dtype(update, 1e-7, 1e-4)
    np.testing.assert_allclose(numpy(update), [0, 1], atol=tolerance)


def test_scale_of_a_loss_does_not_matter():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(4, 9))
    scales = np.array([1e-6, 1.0, 1e3, 10.0])[:, None]
    for make in (MAKERS["fair 1"], MAKERS["nash"]):
        np.testing.assert_allclose(
            numpy(make()(tensor(rows * scales))),
            numpy(make()(tensor(rows))),
            rtol=1e-4,
        )


@pytest.mark.parametrize("max_norm", [0.5, 1.0, 100.0])
def test_the_norm_is_limited(max_norm):
    rows = np.random.default_rng(0).normal(size=(3, 9))
    update = numpy(aggregators.NashMTL(max_norm=max_norm)(tensor(rows)))
    np.testing.assert_allclose(
        np.linalg.norm(update), min(max_norm, np.sqrt(3)), rtol=1e-5
    )


def test_large_alpha_serves_the_worst_task():
    rows = np.array([[1.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 9.0]])

    def imbalance(alpha):
        gains = rows @ numpy(aggregators.FairGrad(alpha)(tensor(rows)))
        return gains.max() / gains.min()

    assert imbalance(0.5) > imbalance(1.0) > imbalance(4.0) > 1.0


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: aggregators.FairGrad(alpha=-1.0), "`alpha`"),
        (lambda: aggregators.FairGrad(alpha="one"), "`alpha`"),
        (lambda: aggregators.NashMTL(max_norm=-1), "`max_norm`"),
        (lambda: aggregators.NashMTL(update_every=0), "`update_every`"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_without_aversion_to_inequality_the_update_is_the_sum():
    rows = np.float32([[1.0, 0.0], [-3.0, 2.0], [1.0, 5.0]])
    fairgrad = aggregators.FairGrad(alpha=0.0)
    np.testing.assert_allclose(numpy(fairgrad(tensor(rows))), rows.sum(0))
    update = fairgrad(tensor(rows), mask=tensor(np.float32([1, 0, 1])))
    np.testing.assert_allclose(numpy(update), rows[[0, 2]].sum(0))
