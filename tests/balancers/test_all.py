"""What every balancer promises."""

import keras
import numpy as np
import pytest

from keras_mtl import balancers
from tests.backend_tools import by_dtype
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from tests.balancers.tools import call
from tests.balancers.tools import compiled_balancer

WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 0.25])
REFERENCE = np.array([0.0, 0.1, 0.02, -0.3, 0.05])

# From the numbers of the tasks that are there to a balancer.
MAKERS = {
    "equal": lambda kept: balancers.Equal(),
    "fixed": lambda kept: balancers.Fixed(WEIGHTS[kept]),
    "log": lambda kept: balancers.Log(),
    "uw": lambda kept: balancers.UW(learning_rate=0.1),
    "uw_sgd": lambda kept: balancers.UW(-0.5, 0.1, "sgd"),
    "imtl_l": lambda kept: balancers.IMTLL(learning_rate=0.1),
    "imtl_l_sgd": lambda kept: balancers.IMTLL(0.5, 0.1, "sgd"),
    "gls": lambda kept: balancers.GLS(),
    "rlw": lambda kept: balancers.RLW(seed=1),
    "dwa": lambda kept: balancers.DWA(),
    "dwa_steps": lambda kept: balancers.DWA(0.5, steps_per_epoch=3),
    "stch": lambda kept: balancers.STCH(0.1),
    "stch_aimed": lambda kept: balancers.STCH(
        0.5, WEIGHTS[kept], REFERENCE[kept]
    ),
    "stch_warmup": lambda kept: balancers.STCH(0.3, warmup_epochs=1),
    "stch_steps": lambda kept: balancers.STCH(
        0.3, WEIGHTS[kept], warmup_epochs=1, steps_per_epoch=3
    ),
    "famo": lambda kept: balancers.FAMO(),
    "famo_min": lambda kept: balancers.FAMO(
        min_losses=np.minimum(REFERENCE, 0.0)[kept]
    ),
    "cosmos": lambda kept: balancers.COSMOS(),
    "cosmos_aimed": lambda kept: balancers.COSMOS(WEIGHTS[kept], 2.0),
    "pbi": lambda kept: balancers.PBI(),
    "pbi_aimed": lambda kept: balancers.PBI(
        WEIGHTS[kept], 2.0, REFERENCE[kept]
    ),
    "soft_adapt": lambda kept: balancers.SoftAdapt(1.0),
    "soft_adapt_loss": lambda kept: balancers.SoftAdapt(
        1.0, "loss_weighted", 3, steps_per_epoch=3
    ),
    "soft_adapt_norm": lambda kept: balancers.SoftAdapt(
        -2.0, "normalized", 2, steps_per_epoch=None
    ),
}
# Those whose graph is nearly that of another one: compiling takes time.
VARIANTS = {"uw_sgd", "stch_aimed", "famo_min", "cosmos_aimed", "pbi_aimed"}
EVERYONE = np.arange(5)
every = pytest.mark.parametrize("name", MAKERS)


def make(name, kept=EVERYONE):
    return MAKERS[name](np.asarray(kept))


def sequence(num_steps=8):
    """Losses of consecutive steps, and what each update makes of them."""
    generator = np.random.default_rng(0)
    falling = 0.9 ** np.arange(num_steps)[:, None] * [0.5, 2.0, 1.0, 0.1, 4.0]
    noise = np.exp(0.2 * generator.normal(size=(2, num_steps, 5)))
    return falling * noise[0], 0.95 * falling * noise[1]


def train(balancer, mask=None, kept=EVERYONE, num_steps=8):
    """Yields the weights of consecutive steps, with an epoch every third."""
    losses, new_losses = sequence(num_steps)
    for step in range(num_steps):
        weights = call(balancer, losses[step, kept], mask)
        if balancer.observes:
            balancer.observe(
                tensor(losses[step, kept]),
                tensor(new_losses[step, kept]),
                None if mask is None else tensor(np.asarray(mask, "float64")),
            )
        if step % 3 == 2:
            balancer.end_epoch()
        yield weights


def hard_losses():
    """Yields finite losses that break careless formulas."""
    yield np.zeros(5)
    yield np.ones(5)
    for scale in (1e-15, 1e-8, 1e8, 1e15):
        yield np.full(5, scale)
        yield scale * np.array([0.5, 2.0, 1.0, 0.1, 4.0])
    yield np.array([0.0, 1.0, 1.0, 1.0, 1.0])
    yield np.array([0.0, 0.0, 0.0, 0.0, 1e15])
    yield np.array([1e15, 0.0, 1.0, 1e-15, 1e15])
    yield np.array([1e-15, 1e15, 1e-15, 1e15, 0.0])
    yield WEIGHTS
    yield 1e-15 * WEIGHTS


def check_finite(balancer, step):
    """Takes steps with hard losses, both ways round, and ends epochs."""
    for losses in [*hard_losses(), *list(hard_losses())[::-1]]:
        for _ in range(2):
            weights = step(losses)
            assert np.isfinite(numpy(weights)).all(), losses
        balancer.end_epoch()
        for variable in balancer.variables:
            assert np.isfinite(numpy(variable.value)).all(), variable.path


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_finite(name, dtype):
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 here.")
    balancer = make(name)
    last = [np.ones(5)]

    def step(losses):
        weights = balancer(tensor(losses, dtype))
        if balancer.observes:
            balancer.observe(tensor(last[0], dtype), tensor(losses, dtype))
        last[0] = losses
        return weights

    check_finite(balancer, step)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - VARIANTS))
def test_graph_equals_eager(name):
    eager, in_graph = make(name), make(name)
    step = compiled_balancer(in_graph, 5)
    losses, new_losses = sequence()
    differences = 0
    for i, (before, after) in enumerate(zip(losses, new_losses, strict=True)):
        mask = tensor([1.0, 1.0, i % 2, 1.0, 1.0], "float32")
        before, after = tensor(before, "float32"), tensor(after, "float32")
        actual = step(before, mask, after)
        expected = eager(before, mask)
        if eager.observes:
            eager.observe(before, after, mask)
        np.testing.assert_allclose(
            numpy(actual), numpy(expected), rtol=1e-5, atol=1e-6
        )
        differences += 1
        if i % 3 == 2:
            eager.end_epoch()
            in_graph.end_epoch()
    assert differences == 8
    for one, other in zip(in_graph.variables, eager.variables, strict=True):
        np.testing.assert_allclose(
            numpy(one.value), numpy(other.value), rtol=1e-5, atol=1e-6
        )
    # The same graph, and losses that are hard.
    everyone = tensor(np.ones(5), "float32")
    check_finite(
        in_graph,
        lambda losses: step(
            tensor(losses, "float32"), everyone, tensor(losses, "float32")
        ),
    )


@every
@pytest.mark.parametrize("kept", [[0, 2, 3], [1, 4], [2]])
def test_absent_tasks_are_removed_tasks(name, kept):
    if name == "rlw" and len(kept) > 1:
        pytest.skip("Its draws belong to places; see test_rlw.py.")
    mask = np.isin(EVERYONE, kept).astype("float64")
    steps = 0
    whole, part = make(name), make(name, kept)
    for one, other in zip(
        train(whole, mask), train(part, kept=kept), strict=True
    ):
        tolerance = by_dtype(one, 1e-12, 1e-5)
        np.testing.assert_allclose(
            numpy(one)[kept], numpy(other), rtol=tolerance, atol=tolerance
        )
        np.testing.assert_array_equal(
            numpy(one)[mask == 0], np.zeros(5 - len(kept))
        )
        steps += 1
    assert steps == 8
    assert len(whole.variables) == len(part.variables)


@every
def test_absent_tasks_keep_their_state(name):
    balancer = make(name)
    list(train(balancer, num_steps=7))
    before = [np.array(numpy(v.value)) for v in balancer.variables]
    mask = tensor(np.array([1.0, 0.0, 1.0, 1.0, 0.0]))
    weights = balancer(tensor(np.array([3.0, 1.5, 2.0, 1.0, 0.7])), mask)
    if balancer.observes:
        new_losses = tensor(np.array([1.0, 1.0, 3.0, 2.0, 5.0]))
        balancer.observe(tensor(np.ones(5)), new_losses, mask)
    np.testing.assert_array_equal(numpy(weights)[[1, 4]], 0.0)
    moved = False
    for old, variable in zip(before, balancer.variables, strict=True):
        new = numpy(variable.value)
        if old.shape[-1:] == (5,):
            np.testing.assert_array_equal(new[..., [1, 4]], old[..., [1, 4]])
            moved |= not np.array_equal(new, old)
    assert moved == (
        name
        not in ("equal", "fixed", "log", "gls", "rlw", "stch", "stch_aimed")
        and not name.startswith(("cosmos", "pbi"))
    )


@every
def test_the_order_of_tasks_does_not_matter(name):
    if name == "rlw":
        pytest.skip("Its draws belong to places; see test_rlw.py.")
    order = np.array([3, 1, 4, 0, 2])
    for one, other in zip(
        train(make(name)), train(make(name, order), kept=order), strict=True
    ):
        tolerance = by_dtype(one, 1e-12, 1e-5)
        np.testing.assert_allclose(
            numpy(one)[order], numpy(other), rtol=tolerance, atol=tolerance
        )


@every
def test_all_present_is_no_mask(name):
    for one, other in zip(
        train(make(name), np.ones(5)), train(make(name)), strict=True
    ):
        np.testing.assert_allclose(numpy(one), numpy(other), rtol=1e-6)


@every
def test_nobody_there(name):
    balancer = make(name)
    list(train(balancer))
    weights = call(balancer, np.ones(5), np.zeros(5))
    np.testing.assert_array_equal(numpy(weights), np.zeros(5))
    assert np.isfinite(numpy(call(balancer, np.ones(5)))).all()


@every
def test_absent_losses_may_be_anything(name):
    balancer, other = make(name), make(name)
    mask = np.array([1.0, 1.0, 0.0, 1.0, 1.0])
    for value in (0.0, 1e15, -1.0):
        losses = np.array([0.5, 2.0, 1.0, 0.1, 4.0])
        expected = call(other, losses, mask)
        losses[2] = value
        np.testing.assert_array_equal(
            numpy(call(balancer, losses, mask)), numpy(expected)
        )


@pytest.mark.parametrize(
    "name, expected",
    [
        ("equal", 1.0),
        ("fixed", 1.0),
        ("log", 2.0),
        ("uw", 0.5),
        ("uw_sgd", np.exp(0.5) / 2),
        ("imtl_l", 1.0),
        ("imtl_l_sgd", np.exp(0.5)),
        ("gls", 1.0),
        ("rlw", 1.0),
        ("dwa", 1.0),
        ("stch", 1.0),
        ("stch_warmup", 2.0),
        ("famo", 1.0),
        ("cosmos", 1.0),
        ("cosmos_aimed", 1.0),
        ("pbi", 1.0),
        ("pbi_aimed", 1.0),
        ("soft_adapt", 1.0),
        ("soft_adapt_loss", 1.0),
        ("soft_adapt_norm", 1.0),
    ],
)
def test_a_single_task(name, expected):
    weights = call(make(name, [0]), [0.5])
    np.testing.assert_allclose(numpy(weights), [expected], rtol=1e-6)


@every
def test_config_round_trip(name):
    balancer = make(name)
    config = balancers.serialize(balancer)
    copy = balancers.deserialize(config)
    assert type(copy) is type(balancer)
    assert copy.get_config() == balancer.get_config()
    for one, other in zip(train(copy), train(balancer), strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))


@every
def test_state_reset(name):
    balancer = make(name)
    balancer.state_reset()
    first = [numpy(weights) for weights in train(balancer)]
    balancer.state_reset()
    second = [numpy(weights) for weights in train(balancer)]
    np.testing.assert_array_equal(first, second)


@every
def test_dtypes(name):
    for dtype in ("float16", "bfloat16", "float32"):
        weights = make(name)(tensor(WEIGHTS, dtype))
        assert keras.backend.standardize_dtype(weights.dtype) == "float32"
    if keras.backend.backend() == "jax":
        return
    balancer = make(name)
    for weights in train(balancer):
        assert keras.backend.standardize_dtype(weights.dtype) == "float64"
    for variable in balancer.variables:
        if "float" in variable.dtype:
            assert variable.dtype == "float64", variable.path
    # State made for another precision than that of the losses.
    balancer = make(name)
    balancer.build(5, "float32")
    for weights in train(balancer):
        assert keras.backend.standardize_dtype(weights.dtype) == "float64"
        assert np.isfinite(numpy(weights)).all()


@every
def test_state_is_not_trainable(name):
    balancer = make(name)
    list(train(balancer))
    assert not balancer.trainable_variables


@every
def test_elementwise_weights_follow_from_their_own_loss(name):
    balancer = make(name)
    if not balancer.elementwise:
        return
    assert not balancer.observes
    one = numpy(call(balancer, [0.5, 2.0, 1.0, 0.1, 4.0]))
    other = numpy(call(balancer, [0.5, 7.0, 3.0, 0.2, 0.1]))
    assert one[0] == other[0]
    assert not balancer.variables


def test_flags():
    elementwise = {name for name in MAKERS if make(name).elementwise}
    assert elementwise == {"equal", "fixed", "log"}
    assert {name for name in MAKERS if make(name).neutral} == {"equal"}
    observing = {name for name in MAKERS if make(name).observes}
    assert observing == {"famo", "famo_min"}


@pytest.mark.parametrize(
    "spelling, expected",
    [
        ("equal", balancers.Equal),
        ("log", balancers.Log),
        ("uw", balancers.UW),
        ("UW", balancers.UW),
        ("imtl_l", balancers.IMTLL),
        ("IMTLL", balancers.IMTLL),
        ("gls", balancers.GLS),
        ("rlw", balancers.RLW),
        ("dwa", balancers.DWA),
        ("stch", balancers.STCH),
        ("famo", balancers.FAMO),
        ("cosmos", balancers.COSMOS),
        ("pbi", balancers.PBI),
        ("soft_adapt", balancers.SoftAdapt),
        ("SoftAdapt", balancers.SoftAdapt),
    ],
)
def test_names(spelling, expected):
    balancer = balancers.get(spelling)
    assert type(balancer) is expected
    assert balancers.get(balancer) is balancer
    assert type(balancers.get(balancers.serialize(balancer))) is expected


def test_unknown_names():
    with pytest.raises(ValueError, match="Did you mean 'dwa'"):
        balancers.get("dwaa")
    # Without weights there is nothing to construct.
    with pytest.raises(ValueError, match="Fixed needs arguments"):
        balancers.get("fixed")
    assert balancers.get(None) is None


@pytest.mark.parametrize("losses", [1.0, [[1.0, 2.0]]])
def test_wrong_losses(losses):
    with pytest.raises(ValueError, match="one loss per task"):
        balancers.Equal()(tensor(np.array(losses)))


@pytest.mark.parametrize(
    "make",
    [
        balancers.UW,
        balancers.FAMO,
        balancers.DWA,
        lambda: balancers.Fixed([1.0, 2.0, 3.0]),
        lambda: balancers.STCH(weights=[1.0, 2.0, 3.0]),
    ],
)
def test_another_number_of_tasks_is_refused(make):
    balancer = make()
    balancer([1.0, 2.0, 3.0])
    for losses in ([1.0], [1.0, 2.0]):
        with pytest.raises(ValueError, match=f"3.*{len(losses)} tasks"):
            balancer(losses)
    with pytest.raises(ValueError, match="mask"):
        balancer([1.0, 2.0, 3.0], [1.0])
