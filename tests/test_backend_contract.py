"""The backend in use has what the contract of all backends says."""

import importlib
import inspect
from pathlib import Path
from types import ModuleType

import keras

from keras_mtl import backend

FOLDER = Path(backend.__file__).parent


def modules(*beginnings):
    """The modules of `keras_mtl.backend` whose names begin like this."""
    return [
        importlib.import_module(f"keras_mtl.backend.{path.stem}")
        for path in sorted(FOLDER.glob("*.py"))
        if path.stem.split("_")[0] in beginnings
    ]


CONTRACT = {
    name: getattr(module, name)
    for module in modules("common")
    for name in module.__all__
}
OWN = modules(keras.backend.backend())


def arguments(function):
    """Name, kind and default of each argument."""
    return [
        (argument.name, argument.kind, argument.default)
        for argument in inspect.signature(function).parameters.values()
    ]


def public_functions(member):
    """A function itself, or the methods of a class that others call."""
    if not inspect.isclass(member):
        return {"": member} if callable(member) else {}
    return {
        name: method
        for name, method in vars(member).items()
        if inspect.isfunction(method)
        and (not name.startswith("_") or name in ("__call__", "__init__"))
    }


def test_names_are_those_of_the_contract():
    exported = {
        name
        for name, value in vars(backend).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert exported == set(CONTRACT)


def test_own_modules_define_names_of_the_contract_once():
    own = [name for module in OWN for name in module.__all__]
    assert own
    assert len(own) == len(set(own))
    assert set(own) <= set(CONTRACT)
    for module in OWN:
        for name in module.__all__:
            assert getattr(backend, name) is getattr(module, name)


def test_arguments_are_those_of_the_contract():
    for name, member in CONTRACT.items():
        own = getattr(backend, name)
        assert callable(own) == callable(member), name
        if inspect.isclass(member):
            assert issubclass(own, member), name
        for method, wanted in public_functions(member).items():
            found = getattr(own, method) if method else own
            assert arguments(found) == arguments(wanted), (name, method)


def test_nothing_is_left_undefined():
    missing = [
        name
        for name, member in CONTRACT.items()
        if inspect.isfunction(member)
        and "NotImplementedError" in member.__code__.co_names
        and getattr(backend, name) is member
    ]
    assert not missing


def test_the_contract_is_documented():
    undocumented = [
        name
        for name, member in CONTRACT.items()
        if callable(member) and not member.__doc__
    ]
    assert not undocumented
