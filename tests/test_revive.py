"""Configs from anywhere: one of ours, or an error before anything happens."""

import copy
import json

import keras
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as draw

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import balancers
from keras_mtl import flatness
from keras_mtl import metrics
from keras_mtl import strategies
from keras_mtl.component import Component
from keras_mtl.revive import MOST_LEVELS

#: Objects that a file may name, and which must not be made for it.
HOSTILE = [
    {
        "class_name": "system",
        "module": "os",
        "registered_name": "system",
        "config": {"command": "touch made"},
    },
    {
        "class_name": "function",
        "module": "builtins",
        "registered_name": "eval",
        "config": "eval",
    },
    {
        "class_name": "os.system",
        "module": "builtins",
        "registered_name": None,
        "config": {},
    },
    {
        "class_name": "Sequential",
        "module": "keras" + ".src.models.sequential",
        "registered_name": None,
        "config": {"name": "s", "layers": []},
    },
    # Keras would make its weights: more than there is memory.
    {
        "class_name": "Dense",
        "module": "keras.layers",
        "registered_name": None,
        "config": {"units": 10**9},
        "build_config": {"input_shape": [1, 10**6]},
    },
    {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}},
    {
        "class_name": "__tensor__",
        "config": {"value": [1.0], "dtype": "float32"},
    },
]
JUNK = [
    None,
    True,
    -1,
    0.5,
    1e12,
    10**12,
    10**400,
    float("nan"),
    "",
    "../../etc/passwd",
    "\x00",
    "x" * 5000,
    [],
    [[1.0]],
    {},
    {"class_name": 3, "config": {}},
    *HOSTILE,
]


def every_config():
    """Configs of all components, as JSON gives them back."""
    components = [strategies.get(name) for name in strategies.names()]
    components += [
        aggregators.CRMOGM(aggregators.MGDA()),
        aggregators.Constant([1.0, 2.0]),
        balancers.Fixed([1.0, 2.0]),
        strategies.FSMTL(
            rho=keras.optimizers.schedules.CosineDecay(0.1, 100),
            balancer="famo",
        ),
    ]
    return [
        json.loads(json.dumps(keras.saving.serialize_keras_object(component)))
        for component in components
    ]


CONFIGS = every_config()


def places(value, path=()):
    """Yields the path of everything within a config."""
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


@draw.composite
def tampered(data):
    config = copy.deepcopy(data(draw.sampled_from(CONFIGS)))
    for _ in range(data(draw.integers(1, 3))):
        path = data(draw.sampled_from(sorted(places(config), key=str)))
        parent = config
        for key in path[:-1]:
            parent = parent[key]
        if isinstance(parent, dict) and data(draw.booleans()):
            del parent[path[-1]]
        else:
            parent[path[-1]] = copy.deepcopy(data(draw.sampled_from(JUNK)))
        if not config:
            break
    return config


def check_what_comes_of(config):
    try:
        strategy = strategies.get(config)
    except (TypeError, ValueError) as error:
        assert str(error)
    else:
        assert isinstance(strategy, strategies.Strategy)
        assert all(isinstance(it, Component) for it in strategy.components)


@settings(max_examples=200)
@given(tampered())
def test_a_tampered_config_gives_a_component_or_an_error(config):
    check_what_comes_of(config)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(tampered())
def test_so_do_many(config):
    check_what_comes_of(config)


@pytest.mark.parametrize("config", HOSTILE)
@pytest.mark.parametrize(
    "family", [aggregators, balancers, flatness, strategies]
)
def test_only_registered_classes_of_the_family(config, family):
    with pytest.raises(ValueError, match="does not describe"):
        family.get(config)
    with pytest.raises(ValueError, match="does not describe"):
        family.deserialize(config)


@pytest.mark.parametrize("config", HOSTILE)
@pytest.mark.parametrize("argument", ["aggregator", "balancer", "flatness"])
def test_nor_of_others_within(config, argument):
    outer = strategies.serialize(strategies.Strategy())
    outer["config"][argument] = config
    with pytest.raises((TypeError, ValueError), match="does not describe"):
        keras.saving.deserialize_keras_object(outer)
    inner = aggregators.serialize(aggregators.CRMOGM(aggregators.MGDA()))
    inner["config"]["aggregator"] = config
    with pytest.raises(ValueError, match="does not describe"):
        keras.saving.deserialize_keras_object(inner)


@pytest.mark.parametrize("config", HOSTILE[:5])
def test_schedules_and_functions(config):
    with pytest.raises(ValueError, match="is no registered subclass of"):
        flatness.TaskSAM(rho=config)
    with pytest.raises(ValueError, match="must name a function that is reg"):
        flatness.TaskSAM(variables=config)
    with pytest.raises(ValueError, match="must name a function that is reg"):
        strategies.Strategy(granularity=config)


def test_functions_of_keras_are_no_predicates():
    config = keras.saving.serialize_keras_object(keras.ops.relu)
    with pytest.raises(ValueError, match="must name a function that is reg"):
        flatness.TaskSAM(variables=config)


@keras.saving.register_keras_serializable("test_revive")
def is_kernel(variable):
    return variable.name == "kernel"


def test_registered_functions_are():
    config = flatness.serialize(flatness.TaskSAM(variables=is_kernel))
    revived = flatness.deserialize(json.loads(json.dumps(config)))
    assert revived.perturbed_variables is is_kernel


def make_model(strategy):
    inputs = keras.Input((2,))
    features = keras.layers.Dense(2)(inputs)
    # Trimming needs three.
    outputs = {name: keras.layers.Dense(1)(features) for name in "abc"}
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    model.compile("sgd", dict.fromkeys("abc", "mse"), strategy=strategy)
    return model


@pytest.mark.parametrize("name", strategies.names())
def test_every_strategy_loads_in_safe_mode(name, tmp_path):
    model = make_model(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.strategy.nested_names == model.strategy.nested_names
    assert loaded.strategy.get_config() == model.strategy.get_config()


def test_a_lambda_is_keras_to_decide(tmp_path):
    path = tmp_path / "model.keras"
    model = make_model(strategies.FSMTL(variables=lambda variable: True))
    with pytest.warns(UserWarning, match="lambda"):
        model.save(path)
    with pytest.raises((TypeError, ValueError), match="safe_mode=False"):
        keras.saving.load_model(path)
    loaded = keras.saving.load_model(path, safe_mode=False)
    assert loaded.strategy.flatness.perturbed_variables(None) is True


def nested(levels):
    config = aggregators.serialize(aggregators.MGDA())
    outer = aggregators.serialize(aggregators.CRMOGM(aggregators.MGDA()))
    for _ in range(levels):
        config = {**outer, "config": {**outer["config"], "aggregator": config}}
    return config


def test_wrappers_within_wrappers():
    revived = aggregators.get(nested(20))
    assert revived.nested_names.count("CRMOGM") == 20
    for load in (aggregators.get, keras.saving.deserialize_keras_object):
        with pytest.raises(ValueError, match=f"more than {MOST_LEVELS} levels"):
            load(nested(10_000))


@pytest.mark.parametrize("key", ["build_config", "compile_config"])
def test_state_is_not_made_for_a_config(key):
    config = strategies.serialize(strategies.DBMTL())
    config[key] = {"input_shape": [10**12]}
    with pytest.raises(ValueError, match=f"has no .{key}"):
        strategies.deserialize(config)


def test_nor_by_keras():
    config = balancers.serialize(balancers.FAMO())
    config["build_config"] = {"input_shape": [10**12]}
    with pytest.raises(ValueError, match="has no .build_config"):
        keras.saving.deserialize_keras_object(config)


HUGE = 10**12


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda n: metrics.MeanIoU(n), 2**20),
        (lambda n: metrics.ExpectedCalibrationError(n), 2**20),
        (lambda n: layers().MMoE(["a", "b"], dense(), n), 4096),
        (lambda n: layers().MixtureOfExperts(dense(), n), 4096),
        (lambda n: layers().CGC(["a", "b"], dense(), n), 4096),
        (lambda n: layers().CGC(["a", "b"], dense(), 1, n), 4096),
        (lambda n: layers().PLE(["a", "b"], dense(), n), 4096),
        (lambda n: layers().DSelectK(2, n), 4096),
        (lambda n: layers().DSelectK(n), 4096),
        (
            lambda n: layers().LearningToBranch(["a", "b"], [[dense()]], n),
            4096,
        ),
        (lambda n: aggregators.NTKMTL(n=n), 4096),
        (lambda n: strategies.Strategy(accumulate=n), 2**31 - 1),
        (lambda n: flatness.TaskSAM(interval=n), 2**31 - 1),
    ],
)
def test_huge_numbers_are_refused_at_once(make, most):
    for number in (HUGE, 10**5000):
        with pytest.raises(ValueError, match=f"at most {most}. Received"):
            make(number)


def layers():
    return keras_mtl.layers


def dense():
    return keras.layers.Dense(2)


def test_integers_that_are_no_floats():
    with pytest.raises(ValueError, match="an integer of that size"):
        aggregators.CAGrad(c=10**400)
    with pytest.raises(ValueError, match="one finite number per task"):
        balancers.Fixed([10**400, 1])


def test_heads_and_networks_of_another_kind():
    model = make_model("ew")
    config = json.loads(json.dumps(model.get_config()))
    config["network"] = {
        "class_name": "Dense",
        "module": "keras.layers",
        "registered_name": None,
        "config": {"units": 3},
    }
    with pytest.raises(ValueError, match="must be a keras.Model"):
        keras_mtl.MultiTaskModel.from_config(config)
    network = keras_mtl.models.TrunkAndHeads
    with pytest.raises(ValueError, match="`trunk` must be a layer"):
        network.from_config({"trunk": 1, "heads": [], "task_inputs": False})
    with pytest.raises(ValueError, match="The config has no 'heads'"):
        network.from_config({"trunk": None})
    with pytest.raises(ValueError, match="config of a layer cannot be read"):
        network.from_config(
            {"trunk": {"class_name": "Dense", "module": True, "config": {}}}
        )


def test_a_dtype_that_is_none():
    config = aggregators.serialize(aggregators.MGDA())
    config["config"]["dtype"] = HOSTILE[0]
    with pytest.raises(ValueError, match="name of a dtype"):
        aggregators.deserialize(config)
