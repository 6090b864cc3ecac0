"""Rules about the source code that no single module can be tested for."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import keras

import keras_mtl
from keras_mtl.export import EXPORTS

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "keras_mtl"
FOLDERS = ("keras_mtl", "examples", "benchmarks", "scripts", "tests", "docs")
FRAMEWORKS = {"jax", "jaxlib", "tensorflow", "torch"}

# A package imports only from packages of lower rank, and from itself.
RANKS = {
    "typing": -1,
    "export": 0,
    "registry": 1,
    "revive": 0,
    "arguments": 0,
    "atomic_files": 0,
    "output_folder": 0,
    "terminal": 0,
    "backend_choice": 0,
    "seeded": 0,
    "component": 1,
    "backend": 0,
    "gradients": 2,
    "solvers": 2,
    "aggregators": 3,
    "balancers": 4,
    "flatness": 4,
    "strategies": 5,
    "training": 6,
    "models": 7,
    "analysis": 7,
    "datasets": 2,
    "layers": 1,
    "losses": 2,
    "metrics": 1,
    "visualization": 8,
    "callbacks": 9,
    "comparison": 10,
    "__main__": 11,
}


def sources(*folders):
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    ]


def every_source():
    return sources(*FOLDERS)


def library_sources():
    return sources("keras_mtl")


def holds_for(items):
    """Makes one test of a rule for many items, which names those at fault."""

    def decorator(rule):
        def test():
            faults = {}
            for item in items:
                try:
                    rule(item)
                except AssertionError as error:
                    faults[str(item)] = str(error)
            assert not faults

        return test

    return decorator


def imported_modules(path):
    """Yields the full name of everything that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def packages():
    names = ["keras_mtl"]
    for module in pkgutil.walk_packages(keras_mtl.__path__, "keras_mtl."):
        if module.ispkg:
            names.append(module.name)
    return names


def test_there_is_something_to_check():
    assert len(every_source()) > len(library_sources()) > 20


@holds_for(every_source())
def test_only_public_keras(path):
    # Spelt apart, or this line would not pass its own test.
    private = ("keras" + ".src", "tensorflow.python", "jax._src")
    assert not [n for n in imported_modules(path) if n.startswith(private)]
    assert private[0] not in path.read_text()


@holds_for(library_sources())
def test_frameworks_stay_in_backend(path):
    if path.parent == LIBRARY / "backend":
        return
    found = {name.split(".")[0] for name in imported_modules(path)} & FRAMEWORKS
    assert not found


@holds_for(library_sources())
def test_no_outside_solvers(path):
    found = {name.split(".")[0] for name in imported_modules(path)}
    assert not found & {"scipy", "cvxpy", "quadprog", "torchjd"}


@holds_for(library_sources())
def test_dependencies_point_downwards(path):
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    own = parts[0]
    if own == "__init__":
        return
    assert own in RANKS, f"Give {own!r} a rank in this test."
    for name in imported_modules(path):
        if not name.startswith("keras_mtl."):
            continue
        other = name.split(".")[1]
        if other == own or other == "__version__" or other not in RANKS:
            continue
        assert RANKS[other] < RANKS[own], f"{own} imports {other}"


@holds_for(library_sources())
def test_the_whole_package_is_imported_only_from_above(path):
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    if RANKS.get(parts[0], 0) >= RANKS["callbacks"]:
        return
    assert "keras_mtl" not in set(imported_modules(path))


@holds_for(library_sources())
def test_no_error_is_swallowed(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"bare except, line {node.lineno}"
            broad = {
                name.id
                for name in ast.walk(node.type)
                if isinstance(name, ast.Name)
            } & {"Exception", "BaseException"}
            assert not broad, f"except {broad}, line {node.lineno}"


@holds_for(every_source())
def test_no_line_is_longer_than_80_columns(path):
    long = [
        number
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 80
    ]
    assert not long


@holds_for(sorted(EXPORTS))
def test_exports_are_where_they_say(path):
    module, name = path.rsplit(".", 1)
    package = importlib.import_module(module)
    assert getattr(package, name) is EXPORTS[path]
    assert name == EXPORTS[path].__name__
    assert name in package.__all__


@holds_for(sorted(EXPORTS))
def test_exports_are_documented(path):
    documentation = inspect.getdoc(EXPORTS[path])
    assert documentation
    first = documentation.split("\n\n")[0]
    assert first.endswith((".", ":")) and "\n" not in first


@holds_for(packages())
def test_all_lists_what_exists(name):
    package = importlib.import_module(name)
    listed = getattr(package, "__all__", [])
    assert len(listed) == len(set(listed))
    for symbol in listed:
        assert hasattr(package, symbol)


@holds_for(packages())
def test_listed_components_are_exported(name):
    package = importlib.import_module(name)
    exported = {id(symbol) for symbol in EXPORTS.values()}
    missing = [
        symbol
        for symbol in getattr(package, "__all__", [])
        if isinstance(getattr(package, symbol), type)
        and issubclass(getattr(package, symbol), keras.layers.Layer)
        and id(getattr(package, symbol)) not in exported
    ]
    assert not missing


def test_optional_packages_are_not_needed():
    optional = ["sklearn", "matplotlib", "tensorflow_datasets", "keras_hub"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({optional})); "
        "import keras_mtl; keras_mtl.datasets.multi_digits"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
