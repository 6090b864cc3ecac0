"""The defaults that docstrings tell are those of the signatures."""

import ast
import inspect
import re

import pytest

import keras_mtl  # noqa: F401  Fills `EXPORTS`.
from keras_mtl.export import EXPORTS

ARGUMENTS = re.compile(r"^Args:\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(
    r"^    (\w+)(?: \([^)\n]*\))?: (.*?)(?=^    \S|\Z)",
    re.MULTILINE | re.DOTALL,
)
DEFAULT = re.compile(r"Defaults\s+to\s+(?:`([^`]+)`|(-?\d[\w.*-]*\w|\d))")


def documented(symbol):
    """Yields each argument of a docstring with the default it tells."""
    section = ARGUMENTS.search(inspect.getdoc(symbol) or "")
    for name, text in ENTRY.findall(section[1] if section else ""):
        for default in DEFAULT.finditer(text):
            try:
                yield name, ast.literal_eval(default[1] or default[2])
            except (SyntaxError, ValueError):
                # What is computed, such as `2**31 - 1`, or a class.
                continue


def pairs():
    for path, symbol in sorted(EXPORTS.items()):
        found = dict(documented(symbol))
        if found:
            yield pytest.param(symbol, found, id=path)


@pytest.mark.parametrize("symbol, found", list(pairs()))
def test_documented_defaults_are_in_use(symbol, found):
    parameters = inspect.signature(symbol).parameters
    actual = {
        name: parameters[name].default for name in found if name in parameters
    }
    expected = {name: found[name] for name in actual}
    assert actual == expected
    # `True` equals 1, and is another thing to say.
    assert list(map(type, actual.values())) == list(
        map(type, expected.values())
    )
