"""Whether backends do the same: equal weights, equal batches, a few steps."""

import io
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mtl.comparison.data import Data
from keras_mtl.comparison.problem import make_model
from keras_mtl.comparison.problem import resolve_strategy
from keras_mtl.comparison.random_state import fresh_start
from keras_mtl.comparison.settings import Settings
from keras_mtl.training.monitor import NonFiniteError

# Of plain gradient descent: Adam divides rounding errors of gradients that
# are zero by their own size, and would show those alone.
LEARNING_RATE = 0.01

# What reading a damaged archive of arrays raises.
DAMAGES = (
    AttributeError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def start_weights(settings: Settings, data: Data) -> bytes:
    """Returns a file of the weights from which every backend starts."""
    return _content(built_model(settings, data))


def take_steps(
    settings: Settings, data: Data, strategy: str, start: Path
) -> bytes:
    """Takes the steps with one strategy.

    Args:
        settings: The settings.
        data: The examples; the first ones are used, in their order.
        strategy: Name or import path of the strategy.
        start: File of the weights to start from.

    Returns:
        A file of the weights after the steps.
    """
    # Where they come in an order of their own, the same on each backend.
    fresh_start(0)
    examples = data.train.first_steps(
        settings.agreement_steps, settings.batch_size
    )
    model = built_model(settings, data)
    weights = read_weights(start)
    for variable, value in zip(_variables(model), weights, strict=True):
        variable.assign(value)
    model.optimizer = keras.optimizers.SGD(LEARNING_RATE)
    try:
        model.fit(
            **examples,
            epochs=1,
            strategy=resolve_strategy(strategy),
            verbose=0,
        )
    except NonFiniteError:
        # Then there is nothing to compare, which the table shows.
        for variable in _variables(model):
            variable.assign(keras.ops.full(variable.shape, float("nan")))
    return _content(model)


def compare_weights(
    start: Path, files: dict[str, dict[str, Path]]
) -> list[dict[str, Any]]:
    """Returns how far the backends' weights are apart.

    Args:
        start: File of the weights at the start.
        files: For each strategy, the files of the backends that took the
            steps.

    Returns:
        For each strategy and pair of backends: `difference`, the largest one
        between two weights, and `movement`, how far the weight that moved most
        has moved from the start; `None` where weights are not finite.
    """
    found = []
    for strategy, paths in files.items():
        origin = read_weights(start) if paths else []
        weights = {
            name: read_weights(path, origin) for name, path in paths.items()
        }
        for first, second in combinations(weights, 2):
            found.append(
                {
                    "strategy": strategy,
                    "backends": [first, second],
                    "difference": _largest(weights[first], weights[second]),
                    "movement": _largest(weights[first], origin),
                }
            )
    return found


def read_weights(
    path: Path, like: Sequence[np.ndarray] | None = None
) -> list[np.ndarray]:
    """Returns the weights of a file in their order.

    Args:
        path: The file.
        like: Weights whose shapes they must have, or `None` for any.

    Raises:
        ValueError: If the file is damaged, or of another model; names it.
    """
    try:
        # NumPy leaves a file open that it cannot read.
        with open(path, "rb") as file, np.load(file) as arrays:
            _check_sizes(arrays.zip.infolist(), path.stat().st_size)
            weights = [
                arrays[f"weight_{index}"] for index in range(len(arrays))
            ]
        if any(array.dtype.kind != "f" for array in weights):
            raise ValueError("it has arrays of something else")
        if like is not None and [it.shape for it in like] != [
            it.shape for it in weights
        ]:
            raise ValueError("its shapes are not those at the start")
    except DAMAGES as error:
        raise ValueError(
            f"{path} does not hold the weights of the model: {error}. Remove "
            "it, and the steps are taken again."
        ) from error
    return weights


def _check_sizes(members: list[zipfile.ZipInfo], size: int) -> None:
    """What is not in the file is not made room for."""
    if any(it.compress_type != zipfile.ZIP_STORED for it in members):
        raise ValueError("it is compressed")
    if sum(it.file_size for it in members) > size:
        raise ValueError("it announces more than it has")


def built_model(settings: Settings, data: Data) -> Any:
    """Returns a new compiled model that has its weights."""
    fresh_start(0)
    model = make_model(settings)
    if not model.built:
        model(data.train.first(1).x)
    return model


def _variables(model: Any) -> list[keras.Variable]:
    """The network's weights and statistics, without random seeds."""
    return [
        variable
        for is_trainable in (True, False)
        for variable in model.network_variables(is_trainable)
        if "float" in variable.dtype
    ]


def _content(model: Any) -> bytes:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {
        f"weight_{index}": keras.ops.convert_to_numpy(variable)
        for index, variable in enumerate(_variables(model))
    }
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _largest(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray]
) -> float | None:
    """The largest difference; `None` if one is not finite."""
    largest = max(
        np.max(np.abs(a.astype("float64") - b), initial=0.0)
        for a, b in zip(first, second, strict=True)
    )
    return float(largest) if np.isfinite(largest) else None
