"""What all tests share: the backend's name, float32, one seed."""

import os

import keras
import pytest
from hypothesis import settings

keras.config.set_floatx("float32")

# The same examples in every run. `HYPOTHESIS_PROFILE=default` looks for more.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_report_header(config):
    return f"keras {keras.__version__}, backend {keras.backend.backend()}"


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


@pytest.fixture(autouse=True)
def reset_keras():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
