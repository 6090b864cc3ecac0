"""What all tests share: the backend's name, float32, one seed."""

import collections
import gc
import importlib.metadata
import logging
import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a worker for each core, and more threads wait for each other.
    # Read when a framework is imported, here and in processes of tests.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import pytest
from hypothesis import settings

import keras_mtl

keras.config.set_floatx("float32")

# The same examples in every run. `HYPOTHESIS_PROFILE=default` looks for more.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

#: What depends on rounding is compiled as for users, the rest quickly.
NUMERICAL = ("aggregators", "analysis", "balancers", "golden", "solvers")

#: Where the look at a plan's first batch takes as long as the test, these make
#: it as users do ...
LOOKING = ("test_step_check.py", "test_plain_keras.py", "test_networks.py")

#: ... and these where it is quick.
LOOKING_ON_TORCH = ("models", "training")

#: Backends that compile, where a case of a test takes seconds.
COMPILED = ("jax", "tensorflow")

#: What is the same on every backend is tested on torch, which is the quickest.
OF_NO_BACKEND = (
    "comparison",
    "benchmarks",
    "docs/test_docstrings.py",
    "examples/test_notebooks.py",
    "fuzzing",
    "scripts",
    "test_release.py",
    "test_revive.py",
    "test_rules.py",
    "test_terminal.py",
    "test_user_mistakes.py",
    "visualization",
)

#: By the beginning of a path: of so many cases of a test, one is made by
#: default on backends that compile. The first one that fits counts.
ONE_CASE_IN = {
    "training/test_compositions.py": 24,
    "aggregators": 3,
    "balancers": 3,
    "layers": 3,
    "metrics": 3,
    "solvers": 3,
    "golden": 10,
    "": 8,
}

# XLA's newer code generator takes twice as long for the many small programs
# of tests and computes the same; releases from 0.12 on have no other. The demo,
# the benchmarks and `nox -s newest` run with it.
XLA_FLAGS = (
    "--xla_cpu_use_fusion_emitters=false"
    " --xla_cpu_parallel_codegen_split_count=1"
)
if keras.backend.backend() == "jax":
    jaxlib = importlib.metadata.version("jaxlib")
    if tuple(int(number) for number in jaxlib.split(".")[:2]) < (0, 12):
        # Read when the first program is compiled, here and in processes that
        # tests start.
        os.environ.setdefault("XLA_FLAGS", XLA_FLAGS)

# Traced programs are many objects that stay.
gc.set_threshold(100_000, 50, 50)


def pytest_report_header(config):
    return f"keras {keras.__version__}, backend {keras.backend.backend()}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Makes tests slow that need not be run on the backend in use."""
    for item in items:
        for marker in item.iter_markers("slow_on"):
            if keras.backend.backend() in marker.args:
                item.add_marker("slow")
    cases = collections.defaultdict(list)
    for item in items:
        if item.get_closest_marker("slow") is None:
            cases[item.nodeid.partition("[")[0]].append(item)
    for of_test in cases.values():
        for item in left_out(of_test):
            item.add_marker("slow")


def left_out(cases):
    """Cases of one test that others stand for on the backend in use.

    Each backend that compiles has other ones, so that more are made in all.
    """
    item, backend = cases[0], keras.backend.backend()
    if backend not in COMPILED or item.get_closest_marker("every_case"):
        return []
    path = item.path.relative_to(Path(__file__).parent).as_posix()
    if path.startswith(OF_NO_BACKEND):
        return cases
    every = next(n for part, n in ONE_CASE_IN.items() if path.startswith(part))
    every = min(every, len(cases))
    first = COMPILED.index(backend) * every // 3
    return [case for n, case in enumerate(cases) if n % every != first]


@pytest.fixture(scope="session", autouse=True)
def compile_once(tmp_path_factory):
    """On JAX, what one test has compiled serves the others."""
    if keras.backend.backend() != "jax":
        return
    import jax

    # Of this run, which may have several processes.
    directory = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        directory = directory.parent
    cache = directory / "compiled"
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(scope="module", autouse=True)
def compile_quickly(request):
    """On JAX, takes a quarter of the time from tests of other things."""
    # Of a module, so that what its fixtures made is compiled alike.
    folder = request.path.relative_to(Path(__file__).parent).parts[0]
    if keras.backend.backend() != "jax" or folder in NUMERICAL:
        yield
        return
    import jax

    with pytest.MonkeyPatch.context() as patch:
        # For processes that the tests start.
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", True)
        yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module", autouse=True)
def look_rarely(request):
    """Leaves out what `compile(check=...)` does by default."""
    folder = request.path.parent.name
    is_quick = keras.backend.backend() not in COMPILED
    if request.path.name in LOOKING or (
        is_quick and folder in LOOKING_ON_TORCH
    ):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        defaults = keras_mtl.MultiTaskModel.compile.__kwdefaults__
        patch.setitem(defaults, "check", "never")
        yield


@pytest.fixture(autouse=True)
def reset_keras():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True)
def reset_logger():
    """Blocks of the docs that silence the library's logger do so for one."""
    yield
    logging.getLogger("keras_mtl").setLevel(logging.NOTSET)
