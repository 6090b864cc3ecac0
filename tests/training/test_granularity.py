"""Groups of variables that are merged apart, `granularity=`."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl import aggregators
from keras_mtl.gradients.jacobian import Jacobian
from training import toy

RATE = 0.1
TASKS = ("a", "b", "c")


@keras.saving.register_keras_serializable("tests")
def kernels_apart(variable):
    """Groups kernels together and all other variables together."""
    return "kernel" in variable.path


def everything(variable):
    """One group of all."""
    del variable
    return 0


#: Indices of the variables of three layers, two of which have a bias.
GROUPS = {
    "model": [[0, 1, 2, 3, 4]],
    "layer": [[0, 1], [2], [3, 4]],
    kernels_apart: [[0, 2, 3], [1, 4]],
}
AGGREGATORS = {
    "mgda": aggregators.MGDA,
    "pcgrad": lambda: aggregators.PCGrad(seed=1),
    "nash_mtl": aggregators.NashMTL,
    "db_mtl": aggregators.DBMTL,
    "cr_mogm": lambda: aggregators.CRMOGM(aggregators.MGDA()),
}


def make_model():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(5, activation="tanh", name="one")(inputs)
    features = keras.layers.Dense(4, use_bias=False, name="two")(features)
    features = keras.layers.Dense(3, activation="tanh", name="three")(features)
    return keras_mtl.MultiTaskModel(
        inputs,
        {task: keras.layers.Dense(2, name=task)(features) for task in TASKS},
    )


def batch(num_samples=8, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_samples, 6)).astype("float32")
    return x, {
        task: rng.normal(size=(num_samples, 2)).astype("float32")
        for task in TASKS
    }


def compiled(strategy):
    return toy.compiled(
        make_model(),
        strategy,
        keras.optimizers.SGD(RATE),
        loss=dict.fromkeys(TASKS, "mse"),
    )


def after_steps(strategy, steps=2):
    model = compiled(strategy)
    for seed in range(steps):
        toy.step(model, *batch(seed=seed))
    return toy.weights(model)


def members_of(make, groups):
    """One aggregator for each group, with numbers of its own."""
    return [
        make() if not place else make().sibling(100 + place)
        for place in range(len(groups))
    ]


def merged_by_group(members, groups, merge):
    """What a step adds to the shared variables, in their order."""
    change = {}
    for member, group in zip(members, groups, strict=True):
        for i, part in zip(group, merge(member, group), strict=True):
            change[i] = -RATE * ops.convert_to_numpy(part)
    return [change[i] for i in sorted(change)]


def change_of_a_step(model, x, y):
    before = toy.arrays(model.shared_variables)
    toy.step(model, x, y)
    after = toy.arrays(model.shared_variables)
    return [new - old for old, new in zip(before, after, strict=True)]


@pytest.mark.parametrize(
    "name, granularity",
    [
        *((name, "layer") for name in AGGREGATORS),
        ("pcgrad", "model"),
        ("db_mtl", kernels_apart),
    ],
)
def test_is_an_aggregation_for_each_group(name, granularity):
    make = AGGREGATORS[name]
    strategy = keras_mtl.Strategy(aggregator=make(), granularity=granularity)
    model = compiled(strategy)
    groups = GROUPS[granularity]
    members = members_of(make, groups)
    for seed in range(2):
        x, y = batch(seed=seed)
        losses, gradients = model.task_gradients(x, y)
        expected = merged_by_group(
            members,
            groups,
            lambda member, group, stacks=gradients.shared, losses=losses: (
                member([stacks[i] for i in group], losses=losses)
            ),
        )
        # Differences of float32 weights of order 1.
        toy.assert_near(change_of_a_step(model, x, y), expected, atol=1e-6)
    assert max(np.abs(part).max() for part in expected) > 1e-3


def test_groups_matter():
    by_layer = after_steps(
        keras_mtl.Strategy(aggregator="mgda", granularity="layer")
    )
    by_model = after_steps("mgda")
    assert toy.distance(by_layer, by_model) > 1e-3


def test_samples_of_a_batch():
    make = aggregators.MoDo
    model = compiled(keras_mtl.Strategy(aggregator=make(), granularity="layer"))
    count = model.strategy.aggregator.samples
    x, y = batch()
    jacobians = []
    for k in range(count):
        part = {task: label[k::count] for task, label in y.items()}
        _, gradients = model.task_gradients(x[k::count], part)
        jacobians.append(Jacobian(stacks=gradients.shared))

    def merge(member, group):
        member.build([jacobians[0].shapes[i] for i in group])
        return member.aggregate_samples(
            [jacobian.of_variables(group) for jacobian in jacobians]
        )

    groups = GROUPS["layer"]
    expected = merged_by_group(members_of(make, groups), groups, merge)
    toy.assert_near(change_of_a_step(model, x, y), expected, atol=1e-6)


# ------------------------------------------------------ with other components


def fs_mtl(combine, granularity, rho):
    return keras_mtl.strategies.FSMTL(
        aggregators.PCGrad(seed=0),
        combine=combine,
        granularity=granularity,
        rho=rho,
    )


@pytest.mark.parametrize("combine", ["decomposed", "direct", "second", "each"])
def test_flatness(combine):
    whole = after_steps(fs_mtl(combine, "model", 0.05))
    # One group of all is no group, with the same numbers drawn.
    one_group = after_steps(fs_mtl(combine, everything, 0.05))
    toy.assert_near(whole, one_group)
    layers = after_steps(fs_mtl(combine, "layer", 0.05))
    assert toy.distance(whole, layers) > 1e-4


@pytest.mark.parametrize("combine", ["decomposed", "direct", "second"])
def test_a_radius_of_zero(combine):
    # The flat parts are zero: what is left are groups of clean gradients.
    plain = keras_mtl.Strategy(
        aggregator=aggregators.PCGrad(seed=0), granularity="layer"
    )
    toy.assert_near(
        after_steps(fs_mtl(combine, "layer", 0.0)),
        after_steps(plain),
        # Of equal losses in two passes.
        atol=1e-5,
    )


def test_db_mtl_strategy():
    by_layer = after_steps(keras_mtl.strategies.DBMTL(granularity="layer"))
    composed = keras_mtl.Strategy(
        balancer="log", aggregator="db_mtl", granularity="layer"
    )
    toy.assert_near(by_layer, after_steps(composed))


@pytest.mark.parametrize("name", ["sum", "mean"])
def test_fixed_weights_need_no_groups(name):
    strategy = keras_mtl.Strategy(aggregator=name, granularity="layer")
    assert strategy.merger is strategy.aggregator
    toy.assert_same(after_steps(strategy), after_steps(name))


# --------------------------------------------------------------------- state


@pytest.mark.parametrize("granularity", ["layer", kernels_apart])
def test_goes_on_from_a_file(granularity, tmp_path):
    aggregator = aggregators.CRMOGM(aggregators.PCGrad(seed=3))
    model = compiled(
        keras_mtl.Strategy(aggregator=aggregator, granularity=granularity)
    )
    toy.step(model, *batch(seed=0))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.strategy.granularity == granularity
    for trained in (model, loaded):
        toy.step(trained, *batch(seed=1))
        toy.step(trained, *batch(seed=2))
    toy.assert_same(toy.snapshot(model), toy.snapshot(loaded))


def test_each_group_has_state_of_its_own():
    model = compiled(
        keras_mtl.Strategy(aggregator="db_mtl", granularity="layer")
    )
    toy.step(model, *batch())
    members = model.strategy.merger.members
    assert [len(member.averages) for member in members] == [2, 1, 2]
    paths = [v.path for v in model.strategy.variables]
    assert len(paths) == len(set(paths))
    start = toy.arrays(model.strategy.variables)
    model.strategy.state_reset()
    assert toy.distance(start, toy.arrays(model.strategy.variables)) > 1e-4
    for member in members:
        assert (
            toy.distance(
                toy.arrays(member.averages),
                [np.zeros(v.shape) for v in member.averages],
            )
            == 0
        )


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize("value", ["layers", 3, None, ["layer"]])
def test_wrong_values(value):
    with pytest.raises(
        ValueError, match='must be "model", "layer" or'
    ) as error:
        keras_mtl.Strategy(aggregator="mgda", granularity=value)
    assert f"granularity={value}" in str(error.value)
