"""Variables that some of the tasks reach, with tasks that are absent."""

import keras
import numpy as np
import pytest
from aggregators.test_all import LOSSES
from aggregators.test_all import MAKERS
from aggregators.test_all import VARIANTS
from aggregators.test_all import make
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

import keras_mtl
from keras_mtl.aggregators.grouped import Grouped
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.strategies.sharing import Sharing
from tests.backend_tools import numpy
from tests.backend_tools import tensor
from training import toy

NUM_TASKS = 5
SIZE = 3
#: Their numbers depend on how many are drawn; `samples` come from elsewhere.
DRAWING = {"random", "pcgrad", "gradvac", "modo", "sdmgrad", "grad_drop"}
NAMES = sorted(set(MAKERS) - VARIANTS - DRAWING)


def merged(name, rows, reach, groups, mask=None, preset=None):
    """The update of a fresh aggregator, one array per variable.

    Args:
        name: Name of the aggregator.
        rows: Array `[K, variables, SIZE]`.
        reach: For each variable, indices of tasks.
        groups: Lists of indices of variables, or `None`.
        mask: Array `[K]` or `None`.
        preset: Indices of the tasks that the rows are of.
    """
    num_tasks, num_variables, _ = rows.shape
    stacks = [tensor(rows[:, i]) for i in range(num_variables)]
    preset = range(num_tasks) if preset is None else list(preset)
    merger = make(name, num_tasks)
    if name == "constant":
        all_weights = np.resize([1.0, 2.0, -0.5, 3.0, 0.25], NUM_TASKS)
        merger = keras_mtl.aggregators.Constant(list(all_weights[preset]))
    if groups is not None:
        merger = Grouped(merger)
        merger.set_groups(groups)
    merger.build([(num_tasks, SIZE)] * num_variables)
    update = Sharing(num_tasks, reach, groups).merge(
        merger,
        Jacobian(stacks=stacks),
        tensor(LOSSES[preset].astype("float32")),
        None if mask is None else tensor(mask),
    )
    return [numpy(part) for part in update]


@st.composite
def situations(draw):
    """Who reaches what and is present, with groups of variables."""
    tasks = st.integers(0, NUM_TASKS - 1)
    reach = draw(
        st.lists(
            st.sets(tasks, min_size=2, max_size=NUM_TASKS),
            min_size=2,
            max_size=4,
        )
    )
    present = sorted(draw(st.sets(tasks, min_size=1)))
    indices = list(range(len(reach)))
    groups = draw(st.sampled_from([None, "each", "pairs"]))
    if groups == "each":
        groups = [[i] for i in indices]
    elif groups == "pairs":
        groups = [indices[:2], *([i] for i in indices[2:])]
    return [sorted(r) for r in reach], present, groups, draw(tasks)


@pytest.mark.parametrize("name", NAMES)
@given(situation=situations())
@settings(max_examples=6)
def test_absent_tasks_are_as_if_removed(name, situation):
    reach, present, groups, seed = situation
    rows = np.random.default_rng(seed).normal(
        size=(NUM_TASKS, len(reach), SIZE)
    )
    for i, tasks in enumerate(reach):
        rows[[k for k in range(NUM_TASKS) if k not in tasks], i] = 0
    rows = rows.astype("float32")
    mask = np.zeros(NUM_TASKS, "float32")
    mask[present] = 1
    update = merged(name, rows * mask[:, None, None], reach, groups, mask)
    # What several of those left share is merged, of those who share some.
    left = [sorted(set(tasks) & set(present)) for tasks in reach]
    shared = [i for i, tasks in enumerate(left) if len(tasks) > 1]
    expected = rows[present].sum(axis=0)
    of_group = [shared]
    if groups is not None:
        of_group = [[i for i in group if i in shared] for group in groups]
    for group in of_group:
        taking = sorted({k for i in group for k in left[i]})
        if not taking or (name == "krum" and len(taking) < 3):
            continue
        parts = merged(
            name,
            rows[taking][:, group],
            [[taking.index(k) for k in left[i]] for i in group],
            None,
            preset=taking,
        )
        for i, part in zip(group, parts, strict=True):
            expected[i] = part
    if name == "krum" and any(0 < len(g) for g in of_group):
        # It is not defined for fewer than three tasks.
        sizes = [len({k for i in g for k in left[i]}) for g in of_group if g]
        if min(sizes) < 3:
            return
    np.testing.assert_allclose(np.stack(update), expected, atol=2e-4, rtol=2e-3)


def graph(loss):
    """Tasks `a` and `b` share a layer that `c` does not reach."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    features = keras.layers.Dense(4, activation="tanh", name="trunk")(inputs)
    pair = keras.layers.Dense(3, activation="tanh", name="pair")(features)
    outputs = {
        "a": keras.layers.Dense(1, name="a")(pair),
        "b": keras.layers.Dense(1, name="b")(pair),
        "c": keras.layers.Dense(1, name="c")(features),
    }
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    return model, {task: loss for task in outputs}


@pytest.mark.parametrize(
    "strategy",
    [
        "mean",
        "mgda",
        "db_mtl",
        keras_mtl.Strategy(aggregator="mgda", granularity="layer"),
        keras_mtl.Strategy(aggregator="mean", granularity="layer"),
        keras_mtl.Strategy(aggregator="upgrad", memory="low"),
        keras_mtl.Strategy(aggregator="mgda", accumulate=2),
        # A layer that one present task reaches is perturbed with its head.
        keras_mtl.strategies.FSMTL(rho=0.5, head_rho=0.1),
        keras_mtl.Strategy(
            flatness=keras_mtl.flatness.TaskSAM(
                rho=0.5, adaptive=True, scaling="gradient_norm"
            ),
            aggregator="mgda",
        ),
        keras_mtl.Strategy(
            flatness=keras_mtl.flatness.GlobalSAM(rho=0.5, norm="separate"),
            aggregator="mgda",
        ),
    ],
    ids=lambda s: s if isinstance(s, str) else repr(s.get_config())[-40:],
)
def test_a_step_without_a_task_is_one_of_a_model_without_it(strategy):
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    y = {"a": x[:, :1], "b": 3 * x[:, 1:2], "c": x[:, 2:3] - x[:, :1]}
    updates = []
    for removed in (False, True):
        model, loss = graph("mse")
        labels = {**y, "a": np.full_like(y["a"], np.nan)}
        if removed:
            loss["a"], labels = None, y
        optimizer = keras.optimizers.SGD(0.1)
        toy.compiled(model, toy.fresh_strategy(strategy), optimizer, loss=loss)
        for _ in range(2):
            model.train_on_batch(x, labels)
        updates.append(toy.weights(model))
    toy.assert_near(*updates, atol=1e-5)
