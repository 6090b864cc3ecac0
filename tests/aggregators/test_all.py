"""What every aggregator promises."""

import keras
import numpy as np
import pytest
from hypothesis import assume
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

from keras_mtl import aggregators
from tests.backend_tools import BACKEND
from tests.backend_tools import by_dtype
from tests.backend_tools import compiled_aggregator
from tests.backend_tools import graph_aggregator
from tests.backend_tools import numpy
from tests.backend_tools import tensor

MAKERS = {
    "mean": aggregators.Mean,
    "sum": aggregators.Sum,
    "constant": lambda: aggregators.Constant([1.0, 2.0, -0.5, 3.0, 0.25]),
    "mgda": aggregators.MGDA,
    "mgda_l2": lambda: aggregators.MGDA("l2"),
    "mgda_loss": lambda: aggregators.MGDA("loss"),
    "mgda_loss+": lambda: aggregators.MGDA("loss+"),
    "pcgrad": lambda: aggregators.PCGrad(seed=1),
    "pcgrad_mean": lambda: aggregators.PCGrad("mean", seed=1),
    "cagrad": aggregators.CAGrad,
    "cagrad_far": lambda: aggregators.CAGrad(c=2.0, rescale=0),
    "imtl_g": aggregators.IMTLG,
    "db_mtl": aggregators.DBMTL,
    "db_mtl_plain": lambda: aggregators.DBMTL(beta=0.0),
    "aligned_mtl": aggregators.AlignedMTL,
    "aligned_mtl_median": lambda: aggregators.AlignedMTL("median"),
    "config": aggregators.ConFIG,
    "conicgrad": aggregators.ConicGrad,
    "conicgrad_narrow": lambda: aggregators.ConicGrad(c=0.95),
    "cr_mogm": lambda: aggregators.CRMOGM(aggregators.MGDA()),
    "gradvac": lambda: aggregators.GradVac(seed=1),
    "krum": aggregators.Krum,
    "ntkmtl": aggregators.NTKMTL,
    "pcd": aggregators.PCD,
    "random": lambda: aggregators.Random(seed=1),
    "upgrad": aggregators.UPGrad,
    "upgrad_as_published": lambda: aggregators.UPGrad(
        norm_eps=1e-4, reg_eps=1e-4
    ),
    "dual_proj": aggregators.DualProj,
    "nash_mtl": aggregators.NashMTL,
    "nash_mtl_lazy": lambda: aggregators.NashMTL(update_every=2),
    "fairgrad": lambda: aggregators.FairGrad(alpha=2.0),
    "grad_drop": lambda: aggregators.GradDrop(seed=1),
    "grad_drop_leaky": lambda: aggregators.GradDrop(0.2, seed=1),
    "trimmed_mean": aggregators.TrimmedMean,
    "moco": aggregators.MoCo,
    "excess_mtl": aggregators.ExcessMTL,
    "excess_mtl_mean": lambda: aggregators.ExcessMTL(
        1.0, num_warmup_steps=0, scale="mean", epsilon=1e-7
    ),
    "grad_norm": aggregators.GradNorm,
    "modo": aggregators.MoDo,
    "sdmgrad": lambda: aggregators.SDMGrad(learning_rate=0.3),
    "go4align": aggregators.GO4Align,
    "db_mtl_aligned": lambda: aggregators.DBMTL(alignment=0.2, gate="softmax"),
}
# Those whose graph is nearly that of another one: compiling takes time.
VARIANTS = {
    "mgda_l2",
    "mgda_loss",
    "pcgrad_mean",
    "cagrad_far",
    "upgrad_as_published",
    "aligned_mtl_median",
    "conicgrad_narrow",
    "grad_drop_leaky",
    "excess_mtl_mean",
}
LOSSES = np.array([0.5, 2.0, 1.0, 0.1, 4.0])
every = pytest.mark.parametrize("name", MAKERS)


def make(name, num_tasks=5):
    if name == "constant":
        weights = np.resize([1.0, 2.0, -0.5, 3.0, 0.25], num_tasks)
        return aggregators.Constant(list(weights))
    return MAKERS[name]()


def call(name, rows, mask=None, losses=None):
    """Calls a fresh aggregator on float64 where there is float64."""
    rows = np.asarray(rows, dtype="float64")
    losses = LOSSES[: len(rows)] if losses is None else losses
    mask = None if mask is None else tensor(np.asarray(mask, "float64"))
    aggregator = make(name, len(rows))
    update = aggregator(tensor(rows), losses=tensor(losses), mask=mask)
    return update


def hard_inputs(num_tasks, size):
    """Yields finite float32 matrices that break careless formulas."""
    generator = np.random.default_rng(num_tasks)
    rows = generator.normal(size=(num_tasks, size))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    yield "random", rows
    yield "zeros", np.zeros_like(rows)
    one_zero = rows.copy()
    one_zero[1] = 0
    yield "a zero row", one_zero
    one_left = np.zeros_like(rows)
    one_left[2] = rows[2]
    yield "one row that is not zero", one_left
    opposed = rows.copy()
    opposed[1] = -opposed[0]
    yield "an opposed pair", opposed
    yield "all opposed", rows[:1] * (-1.0) ** np.arange(num_tasks)[:, None]
    uneven = rows.copy()
    uneven[1] = -1e-3 * uneven[0]
    yield "an uneven opposed pair", uneven
    yield "all equal", np.tile(rows[:1], (num_tasks, 1))
    duplicate = rows.copy()
    duplicate[3] = duplicate[0]
    yield "a duplicate", duplicate
    yield "sum of zero", rows - rows.mean(axis=0)
    yield "nearly equal", rows[:1] + 1e-4 * rows
    yield "rank 1", generator.normal(size=(num_tasks, 1)) * rows[:1]
    for scale in (1e-18, 1e-8, 1e8, 1e15):
        yield f"norms of {scale}", unit * scale
    for scales in (
        [1e-18, 1e15, 1, 1e-5, 1e5],
        [1e15, 1e-18, 1e-18, 1e15, 1e-18],
        [1e6, 1, 1, 1, 1],
        [1e-6, 1, 1, 1, 1],
    ):
        scales = np.resize(scales, num_tasks)[:, None]
        yield f"norms of {scales[:, 0]}", unit * scales
        yield (
            f"opposed, of {scales[:, 0]}",
            unit[:1] * scales * ((-1.0) ** np.arange(num_tasks)[:, None]),
        )


@every
@pytest.mark.parametrize("size", [2, 9])
def test_finite(name, size):
    for label, rows in hard_inputs(5, size):
        update = make(name)(
            tensor(rows, "float32"), losses=tensor(LOSSES, "float32")
        )
        assert np.isfinite(numpy(update)).all(), label
        assert np.isfinite(numpy(call(name, rows))).all(), label


@every
def test_finite_in_a_graph(name, monkeypatch):
    aggregate = graph_aggregator(make(name), monkeypatch)
    losses = tensor(LOSSES, "float32")
    # Less variables than tasks: dependent rows without and with the mask.
    for mask in ([1, 1, 1, 1, 1], [1, 0, 1, 1, 0]):
        mask = tensor(mask, "float32")
        for label, rows in hard_inputs(5, 2):
            update = aggregate(
                tensor(rows, "float32"), losses=losses, mask=mask
            )
            assert np.isfinite(numpy(update)).all(), label


@pytest.mark.parametrize("name", sorted(set(MAKERS) - VARIANTS))
def test_graph_equals_eager(name):
    generator = np.random.default_rng(0)
    in_graph = make(name)
    aggregate = compiled_aggregator(in_graph)
    eager = make(name)
    losses = tensor(LOSSES, "float32")
    for step in range(4):
        stacks = [
            tensor(generator.normal(size=(5, 3, 4)), "float32"),
            tensor(generator.normal(size=(5, 6)), "float32"),
        ]
        mask = tensor([1.0, 1.0, step % 2, 1.0, 1.0], "float32")
        actual = aggregate(stacks, losses, mask)
        expected = eager(stacks, losses=losses, mask=mask)
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_allclose(
                numpy(one), numpy(other), rtol=1e-4, atol=1e-5
            )
    # These weights come from products of gradients, and not from one step.
    slack = 20 if name in ("modo", "sdmgrad", "moco") else 1
    for one, other in zip(in_graph.variables, eager.variables, strict=True):
        np.testing.assert_allclose(
            numpy(one.value),
            numpy(other.value),
            rtol=slack * 1e-6,
            atol=slack * 1e-7,
        )


@every
def test_a_list_of_variables_is_one_long_row(name):
    rows = np.random.default_rng(0).normal(size=(5, 18))
    parts = [tensor(rows[:, :12].reshape(5, 3, 4)), tensor(rows[:, 12:])]
    updates = make(name)(parts, losses=tensor(LOSSES))
    assert [tuple(update.shape) for update in updates] == [(3, 4), (6,)]
    expected = numpy(call(name, rows))
    flat = np.concatenate([numpy(update).ravel() for update in updates])
    tolerance = by_dtype(updates[0], 1e-10, 1e-4)
    np.testing.assert_allclose(flat, expected, rtol=tolerance, atol=tolerance)


@every
def test_dtypes(name):
    rows = np.random.default_rng(0).normal(size=(5, 6))
    for dtype in ("float16", "bfloat16", "float32"):
        update = make(name)(tensor(rows, dtype), losses=tensor(LOSSES))
        assert keras.backend.standardize_dtype(update.dtype) == dtype
    if keras.backend.backend() != "jax":
        aggregator = make(name)
        update = aggregator(rows, losses=LOSSES)
        assert keras.backend.standardize_dtype(update.dtype) == "float64"
        for variable in aggregator.variables:
            if "int" not in variable.dtype:
                assert variable.dtype == "float64"


@every
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.sampled_from([1, 3, 6]))
def test_absent_tasks_are_removed_tasks(name, seed, size):
    if name == "random":
        pytest.skip("Its numbers depend on how many are drawn.")
    if name == "krum":
        pytest.skip("It raises for two rows; its own test has more.")
    generator = np.random.default_rng(seed)
    # Two are left: PCGrad's draws then make no difference.
    rows = generator.integers(-3, 4, size=(4, size)).astype("float64")
    # A trimmed mean of two is not there to compare with.
    left = 3 if name == "trimmed_mean" else 2
    present = np.sort(generator.permutation(4)[:left])
    mask = np.zeros(4)
    mask[present] = 1
    actual = call(name, rows, mask, LOSSES[:4])
    if name == "constant":
        weights = np.array([1.0, 2.0, -0.5, 3.0])
        expected = weights[present] @ rows[present]
    else:
        expected = numpy(call(name, rows[present], None, LOSSES[:4][present]))
    tolerance = by_dtype(actual, 1e-7, 1e-3)
    np.testing.assert_allclose(
        numpy(actual), expected, rtol=tolerance, atol=tolerance
    )


@every
def test_nobody_there(name):
    rows = np.random.default_rng(0).normal(size=(5, 6))
    np.testing.assert_array_equal(
        numpy(call(name, rows, np.zeros(5))), np.zeros(6)
    )


@every
def test_all_present_is_no_mask(name):
    rows = np.random.default_rng(0).normal(size=(5, 6))
    np.testing.assert_allclose(
        numpy(call(name, rows, np.ones(5))), numpy(call(name, rows)), rtol=1e-6
    )


@every
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.sampled_from([1, 3, 6]))
def test_the_order_of_tasks_does_not_matter(name, seed, size):
    if name == "constant":
        pytest.skip("Its weights have an order.")
    if name == "random":
        pytest.skip("Its numbers have an order.")
    if name == "krum":
        pytest.skip("Of rows of the same score it takes the first.")
    if name == "pcd":
        pytest.skip("The first task comes first.")
    generator = np.random.default_rng(seed)
    num_tasks = 2 if name.startswith(("pcgrad", "gradvac")) else 5
    rows = generator.integers(-3, 4, size=(num_tasks, size)).astype("float64")
    order = generator.permutation(num_tasks)
    losses = LOSSES[:num_tasks]
    one = call(name, rows, losses=losses)
    other = call(name, rows[order], losses=losses[order])
    tolerance = by_dtype(one, 1e-7, 2e-3)
    np.testing.assert_allclose(
        numpy(one), numpy(other), rtol=tolerance, atol=tolerance
    )


@every
def test_zero_in_zero_out(name):
    np.testing.assert_array_equal(
        numpy(call(name, np.zeros((5, 3)))), np.zeros(3)
    )


@pytest.mark.parametrize(
    "name, factor",
    [
        ("mean", 1.0),
        ("sum", 1.0),
        ("constant", 1.0),
        ("mgda", 1.0),
        ("mgda_loss", 2.0),
        ("pcgrad", 1.0),
        ("pcgrad_mean", 1.0),
        ("cagrad", 1.4 / 1.16),
        ("cagrad_far", 3.0),
        ("imtl_g", 1.0),
        ("db_mtl_plain", 1.0),
        ("aligned_mtl", 1.0),
        ("config", 1.0),
        ("conicgrad", 1.0),
        ("cr_mogm", 1.0),
        ("gradvac", 1.0),
        ("ntkmtl", 1.0),
        ("pcd", 1.0),
        ("random", 1.0),
        ("upgrad", 1.0),
        ("dual_proj", 1.0),
    ],
)
def test_a_single_task_keeps_its_gradient(name, factor):
    rows = np.random.default_rng(0).normal(size=(1, 7))
    np.testing.assert_allclose(
        numpy(call(name, rows)), factor * rows[0], rtol=1e-5
    )


@every
def test_config_round_trip(name):
    aggregator = make(name)
    config = aggregators.serialize(aggregator)
    copy = aggregators.deserialize(config)
    assert type(copy) is type(aggregator)
    assert copy.get_config() == aggregator.get_config()
    rows = np.random.default_rng(0).normal(size=(5, 6))
    losses = tensor(LOSSES)
    np.testing.assert_allclose(
        numpy(copy(tensor(rows), losses=losses)),
        numpy(aggregator(tensor(rows), losses=losses)),
    )


@every
def test_state_reset(name):
    aggregator = make(name)
    generator = np.random.default_rng(0)
    steps = [tensor(generator.normal(size=(5, 6))) for _ in range(3)]
    losses = tensor(LOSSES)
    first = [numpy(aggregator(rows, losses=losses)) for rows in steps]
    aggregator.state_reset()
    second = [numpy(aggregator(rows, losses=losses)) for rows in steps]
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "spelling, expected",
    [
        ("mean", aggregators.Mean),
        ("Sum", aggregators.Sum),
        ("mgda", aggregators.MGDA),
        ("PCGrad", aggregators.PCGrad),
        ("cagrad", aggregators.CAGrad),
        ("imtl_g", aggregators.IMTLG),
        ("IMTLG", aggregators.IMTLG),
        ("db_mtl", aggregators.DBMTL),
        ("DBMTL", aggregators.DBMTL),
        ("GradDrop", aggregators.GradDrop),
        ("trimmed_mean", aggregators.TrimmedMean),
        ("moco", aggregators.MoCo),
        ("ExcessMTL", aggregators.ExcessMTL),
        ("grad_norm", aggregators.GradNorm),
        ("MoDo", aggregators.MoDo),
        ("sdmgrad", aggregators.SDMGrad),
        ("go4align", aggregators.GO4Align),
        ("aligned_mtl", aggregators.AlignedMTL),
        ("ConFIG", aggregators.ConFIG),
        ("conic_grad", aggregators.ConicGrad),
        ("GradVac", aggregators.GradVac),
        ("krum", aggregators.Krum),
        ("ntkmtl", aggregators.NTKMTL),
        ("pcd", aggregators.PCD),
        ("random", aggregators.Random),
    ],
)
def test_names(spelling, expected):
    aggregator = aggregators.get(spelling)
    assert type(aggregator) is expected
    assert aggregators.get(aggregator) is aggregator
    config = aggregators.serialize(aggregator)
    assert type(aggregators.get(config)) is expected


def test_unknown_names():
    with pytest.raises(ValueError, match="Did you mean 'cagrad'"):
        aggregators.get("cagrd")
    # Without weights there is nothing to construct.
    with pytest.raises(ValueError, match="Constant needs arguments"):
        aggregators.get("constant")
    assert aggregators.get(None) is None


@pytest.mark.parametrize(
    "jacobian, message",
    [
        ([], "empty"),
        (np.ones((2, 3), "int32"), "must hold floats"),
        ([np.ones((2, 3)), np.ones((3, 3))], "number of tasks"),
        ([1.0, 2.0], r"matrix `\[K, P\]`"),
    ],
)
def test_wrong_jacobians(jacobian, message):
    with pytest.raises(ValueError, match=message):
        aggregators.Mean()(jacobian)


def test_wrong_masks():
    with pytest.raises(ValueError, match="one entry per task"):
        aggregators.Mean()(np.ones((2, 3), "float32"), mask=np.ones(3))


@every
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_gradients_show(name, bad):
    # What is not finite must be seen by the training step, not raise.
    rows = np.random.default_rng(0).normal(size=(5, 6))
    rows[1, 2] = bad
    update = call(name, rows)
    if name not in HIDE_BAD_ROWS:
        assert not np.isfinite(numpy(update)).all()


#: These may leave a row out, whatever it holds.
HIDE_BAD_ROWS = ("krum", "trimmed_mean")


@st.composite
def matrices(draw):
    """Finite matrices of all ranks and scales, with zero rows and copies."""
    num_tasks = draw(st.integers(1, 12))
    size = draw(st.integers(1, 64))
    generator = np.random.default_rng(draw(st.integers(0, 2**31)))
    rank = draw(st.integers(1, min(num_tasks, size)))
    rows = generator.normal(size=(num_tasks, rank))
    rows = rows @ generator.normal(size=(rank, size))
    spread = draw(st.sampled_from([0.0, 0.0, 3.0, 15.0]))
    exponents = generator.uniform(-spread, spread, size=(num_tasks, 1))
    exponents = exponents + draw(st.sampled_from([-15, 0, 0, 15]))
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / norms * 10.0 ** np.clip(exponents, -15, 15)
    rows[generator.random(num_tasks) < draw(st.sampled_from([0, 0.2]))] = 0
    if draw(st.booleans()):
        copied, place = generator.integers(0, num_tasks, size=2)
        rows[place] = draw(st.sampled_from([1.0, -1.0])) * rows[copied]
    return rows


@every
@settings(max_examples=12, deadline=None)
@given(rows=matrices())
def test_finite_for_all_matrices(name, rows):
    num_tasks = len(rows)
    aggregator = make(name, num_tasks)
    assume(num_tasks >= aggregator.min_tasks)
    losses = np.resize(LOSSES, num_tasks)
    update = aggregator(
        tensor(rows, "float32"), losses=tensor(losses, "float32")
    )
    assert np.isfinite(numpy(update)).all()
    if not rows.any():
        assert not numpy(update).any()


def test_state_made_by_add_weight_is_reset_too():
    class Counting(aggregators.GramianAggregator):
        def build_state(self, shapes, dtype):
            self.seen = self.add_weight(
                shape=(), initializer="ones", trainable=False, name="seen"
            )

        def compute_weights(self, gramian, losses=None, mask=None):
            self.seen.assign(self.seen + 1)
            return ops.ones((gramian.shape[0],), gramian.dtype)

    counting = Counting()
    counting(np.eye(3, dtype="float32"))
    assert numpy(counting.seen.value) == 2
    counting.state_reset()
    assert numpy(counting.seen.value) == 1


@pytest.mark.parametrize("base", ["GramianAggregator", "LinearAggregator"])
def test_weights_of_a_wrong_shape_are_refused(base):
    class Wrong(getattr(aggregators, base)):
        def compute_weights(self, gramian, losses=None, mask=None):
            return ops.ones((3, 1))

        def compute_row_weights(self, num_tasks, mask=None, dtype=None):
            return ops.ones((3, 1))

    with pytest.raises(ValueError, match=r"Wrong .*\(3,\).*\(3, 1\)"):
        Wrong()(np.eye(3, dtype="float32"))


@pytest.mark.parametrize("name", ["db_mtl", "moco", "pcd", "sdmgrad"])
def test_another_number_of_tasks_than_there_is_state_of(name):
    aggregator = aggregators.get(name)
    aggregator(np.eye(3, dtype="float32"), losses=np.ones(3, "float32"))
    for num_tasks in (1, 4):
        rows = np.ones((num_tasks, 3), "float32")
        with pytest.raises(ValueError, match=f"3 tasks.*{num_tasks} tasks"):
            aggregator(rows, losses=np.ones(num_tasks, "float32"))


def test_rows_of_another_shape_than_there_are_averages_of():
    aggregator = aggregators.DBMTL()
    aggregator(np.eye(3, dtype="float32"))
    with pytest.raises(ValueError, match=r"\(3, 3\).*\(3, 4\)"):
        aggregator(np.eye(3, 4, dtype="float32"))


@pytest.mark.skipif(BACKEND != "torch", reason="about autograd of torch")
@pytest.mark.parametrize("name", ["mgda", "nash_mtl", "mean"])
def test_updates_by_hand_are_constants(name):
    import torch

    rows = torch.eye(3, requires_grad=True)
    assert not aggregators.get(name)(rows).requires_grad
