"""Runs the examples in docstrings, and compares the values they state."""

import ast
import importlib.util
import inspect
import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_mtl
from keras_mtl.export import EXPORTS

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VALUE = re.compile(r"#\s*(?:about )?([\[({\d-].*)$")

#: Examples that read files which a person must get, or download.
NEED_FILES = {
    f"keras_mtl.datasets.{name}"
    for name in (
        "celeba_attributes",
        "cityscapes",
        "multi_fashion",
        "multi_fashion_mnist",
        "multi_mnist",
        "nyuv2",
        "office31",
        "office_home",
        "qm9",
        "census_income",
    )
}
#: Examples that compile so much that one backend, which does not, must do.
HEAVY = {
    "keras_mtl.analysis.task_sharpness",
    "keras_mtl.callbacks.SharpnessMonitor",
    "keras_mtl.models.dense_prediction_model",
    "keras_mtl.strategies.Strategy",
    "keras_mtl.visualization.plot_loss_landscape",
}

#: Digits after which stated values end.
TOLERANCE = {"rtol": 2e-3, "atol": 1e-4}


def documented():
    """Yields the path and the docstring of all that is public."""
    for path, symbol in sorted(EXPORTS.items()):
        yield path, inspect.getdoc(symbol) or ""
        if not inspect.isclass(symbol):
            continue
        for name, member in members(symbol):
            function = getattr(member, "__func__", member)
            if name.startswith("_") or not inspect.isfunction(function):
                continue
            yield f"{path}.{name}", inspect.getdoc(function) or ""


def members(symbol):
    """What a class has of its own, or of parts that are not public."""
    for part in symbol.__mro__:
        is_private = (
            part.__module__.startswith("keras_mtl.")
            and part not in EXPORTS.values()
        )
        for name, member in vars(part).items():
            # Others would get the docstring of Keras.
            if part is symbol or (is_private and member.__doc__):
                yield name, member


def examples():
    is_eager = keras.backend.backend() == "torch"
    skipped = NEED_FILES if is_eager else NEED_FILES | HEAVY
    return [
        pytest.param(
            "\n".join(blocks),
            id=path,
        )
        for path, text in documented()
        if path not in skipped and (blocks := BLOCK.findall(text))
    ]


def what_examples_have():
    """The names that examples use without making them."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    features = keras.layers.Dense(3, activation="tanh")(inputs)
    outputs = {
        task: keras.layers.Dense(1)(features)
        for task in ("left", "right", "kind")
    }
    losses = dict.fromkeys(outputs, "mse")
    branching = keras_mtl.layers.LearningToBranch(
        ["a", "b", "c"], [keras.layers.Dense(2), keras.layers.Dense(2)]
    )
    branching(inputs)
    keras_model = keras.Model(inputs, outputs)
    model = keras_mtl.MultiTaskModel.from_model(keras_model)
    model.compile("sgd", losses, strategy="ew")
    x = np.array([[1.0, 2.0], [0.5, -1.0]], dtype="float32")
    y = {task: x[:, :1] * x[:, 1:] for task in outputs}
    return {
        "AutoLambda": keras_mtl.balancers.AutoLambda,
        "MultiTaskModel": keras_mtl.MultiTaskModel,
        "branching": branching,
        "h1": keras.layers.Dense(1),
        "h2": keras.layers.Dense(1),
        "inputs": inputs,
        "keras": keras,
        "keras_model": keras_model,
        "keras_mtl": keras_mtl,
        "left": outputs["left"],
        "losses": losses,
        "model": model,
        "np": np,
        "ops": ops,
        "right": outputs["right"],
        "trunk": keras.layers.Dense(3),
        "x": x,
        "x_held_out": x,
        "y": y,
        "y_held_out": y,
    }


def stated_value(line):
    """The value in the comment of a line, or `None`."""
    match = VALUE.search(line)
    if match is None:
        return None
    try:
        return np.asarray(ast.literal_eval(match.group(1)), dtype="float64")
    except (ValueError, SyntaxError, TypeError):
        return None  # Words, or shapes by name.


def run(code, names):
    """Runs an example and returns how many values it was compared with."""
    compared = 0
    lines = code.splitlines()
    for statement in ast.parse(code).body:
        expected = None
        if isinstance(statement, ast.Expr | ast.Assign):
            expected = stated_value(lines[statement.end_lineno - 1])
        if expected is None:
            module = ast.Module([statement], [])
            exec(compile(module, "<example>", "exec"), names)
            continue
        expression = ast.Expression(statement.value)
        value = eval(compile(expression, "<example>", "eval"), names)
        if isinstance(statement, ast.Assign):
            names[statement.targets[0].id] = value
        if isinstance(statement.value, ast.Call) and (
            getattr(statement.value.func, "id", "") == "print"
        ):
            continue
        if not isinstance(value, tuple | list | float | int):
            value = ops.convert_to_numpy(value)
        value = np.asarray(value, dtype="float64")
        np.testing.assert_allclose(value, expected, **TOLERANCE)
        compared += 1
    return compared


def test_values_are_compared():
    code = "2.0 * 3.0  # 6.0\nx = [1, 2]  # about [1.0, 2.0]\nx  # A list."
    assert run(code, {}) == 2
    with pytest.raises(AssertionError):
        run("2.0 * 3.0  # 5.0", {})


@pytest.mark.parametrize("code", examples())
def test_example(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "visualization" in code:
        pytest.importorskip("matplotlib").use("Agg")
    if "multi_digits" in code and importlib.util.find_spec("sklearn") is None:
        pytest.skip("scikit-learn is not installed")
    names = what_examples_have()
    run(code, names)
