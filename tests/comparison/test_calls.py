"""Strategies and functions with arguments."""

import pytest

import keras_mtl
from keras_mtl.comparison.calls import arguments_of
from keras_mtl.comparison.calls import read_call
from keras_mtl.comparison.calls import split_calls
from keras_mtl.comparison.import_path import is_import_path
from keras_mtl.comparison.problem import resolve_strategy
from keras_mtl.comparison.settings import read_names


def test_commas_of_arguments_are_theirs():
    text = "ew, fs_mtl(rho=0.1, aggregator='a,(b'),fixed(weights=[1, 2]),m:f"
    names = ["ew", "fs_mtl(rho=0.1, aggregator='a,(b')"]
    names += ["fixed(weights=[1, 2])", "m:f"]
    assert read_names("strategies", text) == tuple(names)
    assert [it.strip() for it in split_calls(text)] == names


def test_one_strategy_has_one_name():
    names = "fs_mtl( rho = 1e-1 ),fs_mtl(rho=0.1),ew,ew()"
    assert read_names("strategies", names) == ("fs_mtl(rho=0.1)", "ew")


def test_arguments_reach_the_strategy():
    found = resolve_strategy("fs_mtl(rho=0.3, aggregator='pcgrad')")
    assert found.flatness.get_config()["rho"] == 0.3
    assert isinstance(found.aggregator, keras_mtl.aggregators.PCGrad)
    # A component, and one that has no default.
    assert resolve_strategy("cagrad(c=0.2)").aggregator.c == 0.2
    weights = resolve_strategy("fixed(weights=[1, 3])").balancer.get_config()
    assert list(weights["weights"]) == [1.0, 3.0]
    found = resolve_strategy("ew(accumulate=2, balancer='log')")
    assert found.accumulate == 2 and found.balancer.name.startswith("log")


def test_arguments_reach_the_users_function(user_folder):
    name = "comparison_problem:with_rho(rho=0.25)"
    assert is_import_path(name) and not is_import_path("a(b={1: 2})")
    assert resolve_strategy(name).flatness.get_config()["rho"] == 0.25
    with pytest.raises(ValueError, match="no argument 'radius'. It has: rho"):
        resolve_strategy("comparison_problem:with_rho(radius=1)")
    with pytest.raises(ValueError, match="missing a required argument: 'rho'"):
        resolve_strategy("comparison_problem:with_rho")


@pytest.mark.parametrize(
    "text",
    [
        *("f(1)", "f(a=b)", "f(a=1", "f(a=1)(b=2)", "f(a=1) + 1", "f(**{})"),
        *("f(a=__import__('os'))", "f(a=1, a=2)", "f(a=" + "(" * 300 + ")"),
    ],
)
def test_nothing_is_evaluated(text):
    with pytest.raises(ValueError, match="must be arguments by name"):
        read_call("strategies", text)


def test_names_of_arguments():
    names = arguments_of(keras_mtl.strategies.FSMTL)
    assert {"rho", "aggregator", "on_nonfinite", "accumulate"} <= set(names)
    assert "trainable" not in names
    assert arguments_of(lambda a, b=1: None) == ["a", "b"]
    assert arguments_of(lambda **given: None) is None
