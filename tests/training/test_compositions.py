"""Every aggregator with every balancer and every flatness regularizer.

Compiling takes the time, so the balancers share compiled steps: a `Switch`
holds several and follows the one that a variable says. What else changes the
passes of a step, the variants of `combine` and `interval`, takes turns. The
product of all, each compiled for itself, is marked `slow`.

TensorFlow keeps the memory maps of everything that XLA has compiled until the
process ends, and Linux allows a process about 65,000 of them. There, every
third triple is compiled by XLA and the others run as plain graphs.
"""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import balancers
from keras_mtl.flatness import SAMO
from keras_mtl.flatness import GlobalSAM
from keras_mtl.flatness import MomentumSAM
from keras_mtl.flatness import TaskSAM
from training import toy

TASKS = ("a", "b", "c")

AGGREGATORS = {
    **{name: name for name in aggregators.REGISTRY.names()},
    "constant": lambda: aggregators.Constant([1.0, 0.5, 2.0]),
    "cr_mogm": lambda: aggregators.CRMOGM(aggregators.MGDA()),
    "db_mtl_extended": lambda: aggregators.DBMTL(alignment=0.2, gate="softmax"),
}
BALANCERS = {
    **{name: name for name in balancers.REGISTRY.names()},
    "fixed": lambda: balancers.Fixed([1.0, 0.5, 2.0]),
}
FLATNESS = {
    "none": None,
    "task_sam": TaskSAM,
    "global_sam": GlobalSAM,
    "samo": SAMO,
    "momentum_sam": MomentumSAM,
}
VARIANTS = {
    "direct": lambda: TaskSAM(combine="direct", norm="joint", adaptive=True),
    "second": lambda: TaskSAM(combine="second", scaling="gradient_norm"),
    "each": lambda: TaskSAM(combine="each"),
    "reuse": lambda: TaskSAM(interval=2, reuse=True),
    "interval": lambda: GlobalSAM(interval=2, combine="decomposed"),
}
#: Of their own loss alone: they weigh perturbed losses anew.
ELEMENTWISE = ("equal", "fixed", "log")
#: It makes passes of its own, and has compiled steps of its own.
ALONE = "auto_lambda"

#: Pairs of a loss part and a flatness part are no tasks: these need losses,
#: or more rows.
MERGE_TASKS_ONLY = ("go4align", "grad_norm", "krum", "moco", "trimmed_mean")


class Switch(balancers.Balancer):
    """Holds several balancers and uses the one at a place.

    All of them compute and learn; the weights of one are used.
    """

    def __init__(self, names):
        super().__init__()
        self.names = names
        self.parts = [balancers.get(make(BALANCERS[name])) for name in names]
        self.observes = any(part.observes for part in self.parts)
        self.elementwise = all(part.elementwise for part in self.parts)

    def build_state(self, num_tasks, dtype):
        self.place = self.add_weight(
            name="place",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
        )
        for part in self.parts:
            part.build(num_tasks, dtype)

    def compute_weights(self, losses, mask=None):
        every = ops.stack([part(losses, mask) for part in self.parts])
        return ops.take(every, ops.convert_to_tensor(self.place), axis=0)

    def observe(self, losses, new_losses, mask=None):
        for part in self.parts:
            part.observe(losses, new_losses, mask)


def make(value):
    return value() if callable(value) else value


def data(num_samples=12, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(num_samples, 4)).astype("float32")
    labels = generator.uniform(0.5, 2, size=(3, num_samples, 1))
    return x, {
        task: label.astype("float32")
        for task, label in zip(TASKS, labels, strict=True)
    }


def compiled_model(aggregator, balancer, flatness, by_xla=False):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    features = keras.layers.Dense(3, activation="tanh")(inputs)
    model = keras_mtl.MultiTaskModel(
        inputs,
        {task: keras.layers.Dense(1, name=task)(features) for task in TASKS},
    )
    strategy = keras_mtl.Strategy(
        balancer=balancer,
        flatness=make({**FLATNESS, **VARIANTS}[flatness]),
        aggregator=make(AGGREGATORS[aggregator]),
    )
    model.compile(
        keras.optimizers.SGD(0.01),
        loss=dict.fromkeys(TASKS, "mse"),
        strategy=strategy,
        jit_compile={"jax": True, "tensorflow": by_xla, "torch": "auto"}[
            toy.BACKEND
        ],
    )
    return model


def three_steps(model, **kwargs):
    """Trains for three steps and checks what came of it."""
    before = toy.snapshot(model)
    x, y = data()
    model.fit(x, y, batch_size=4, epochs=1, verbose=0, **kwargs)
    after = toy.snapshot(model)
    for values in after.values():
        assert all(np.isfinite(value).all() for value in values)
    for old, new in zip(before["weights"], after["weights"], strict=True):
        assert (old != new).any()


@contextlib.contextmanager
def state_moves(strategy):
    """Checks that the state of all components is another one afterwards."""
    # What is not state: radii, and counters of what did not happen.
    fixed = ("rho", "place", "regularized_calls")
    parts = getattr(strategy.balancer, "parts", [strategy.balancer])
    own = {
        part: [v for v in part.variables if v.name not in fixed]
        for part in (strategy.aggregator, *parts)
    }
    start = {part: toy.arrays(variables) for part, variables in own.items()}
    yield
    for part, variables in own.items():
        if variables:
            moved = toy.distance(start[part], toy.arrays(variables))
            assert moved > 0, part.name


def refused(aggregator, flatness):
    return flatness in ("second", "each") and aggregator in MERGE_TASKS_ONLY


@pytest.mark.parametrize("flatness", FLATNESS)
@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_every_triple(aggregator, flatness):
    # Two groups of balancers, whose steps differ, take turns, so that both
    # meet every aggregator and every flatness regularizer.
    turn = list(AGGREGATORS).index(aggregator) + list(FLATNESS).index(flatness)
    rest = [n for n in BALANCERS if n not in (*ELEMENTWISE, ALONE)]
    names = list(ELEMENTWISE) if turn % 2 else rest
    model = compiled_model(aggregator, Switch(names), flatness, turn % 3 == 0)
    with state_moves(model.strategy):
        for place in range(len(names)):
            model.strategy.balancer.place.assign(place)
            three_steps(model)
    assert int(toy.arrays([model.strategy.iterations])[0]) == 3 * len(names)


def test_configs_hold_all_parts():
    strategy = keras_mtl.Strategy(
        "uw", keras_mtl.flatness.TaskSAM(rho=0.2), "cagrad", "skip"
    )
    copy = keras_mtl.Strategy.from_config(strategy.get_config())
    for part in ("balancer", "flatness", "aggregator"):
        one, other = getattr(strategy, part), getattr(copy, part)
        assert type(one) is type(other)
        assert one.get_config() == other.get_config()
    assert copy.on_nonfinite == "skip"
    plain = keras_mtl.Strategy.from_config(keras_mtl.Strategy().get_config())
    assert plain.flatness is None


@pytest.mark.parametrize("combine", ["second", "each"])
@pytest.mark.parametrize(
    "name, lacking",
    [("moco", "which have no losses"), ("krum", "the method needs 3")],
)
def test_some_methods_merge_no_pairs(combine, name, lacking):
    with pytest.raises(ValueError, match=f"combine='{combine}'.*{lacking}"):
        keras_mtl.Strategy(
            flatness=keras_mtl.flatness.TaskSAM(combine=combine),
            aggregator=name,
        )


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_variants(aggregator):
    place = list(AGGREGATORS).index(aggregator)
    flatness = list(VARIANTS)[place % len(VARIANTS)]
    name = list(BALANCERS)[place % len(BALANCERS)]
    if refused(aggregator, flatness):
        with pytest.raises(ValueError, match="merges pairs"):
            compiled_model(aggregator, make(BALANCERS[name]), flatness)
        return
    model = compiled_model(aggregator, make(BALANCERS[name]), flatness)
    with state_moves(model.strategy):
        three_steps(model, **held_out(name))


@pytest.mark.parametrize(
    "aggregator, flatness",
    list(
        zip(
            AGGREGATORS,
            [list(FLATNESS)[n % len(FLATNESS)] for n in range(30)],
            strict=True,
        )
    ),
)
def test_learning_on_other_data(aggregator, flatness):
    balancer = make(BALANCERS[ALONE])
    model = compiled_model(aggregator, balancer, flatness)
    with state_moves(model.strategy):
        three_steps(model, **held_out(ALONE))


def held_out(name):
    return {"balancer_data": data(6, 1)} if name == ALONE else {}


@pytest.mark.slow
@pytest.mark.parametrize("flatness", [*FLATNESS, *VARIANTS])
@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_full_product(aggregator, balancer, flatness):
    if refused(aggregator, flatness):
        with pytest.raises(ValueError, match="merges pairs"):
            compiled_model(aggregator, make(BALANCERS[balancer]), flatness)
        return
    model = compiled_model(aggregator, make(BALANCERS[balancer]), flatness)
    with state_moves(model.strategy):
        three_steps(model, **held_out(balancer))
