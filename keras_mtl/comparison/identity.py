"""What tells whether two runs are of one model and of the same data.

The user's functions may return something else at each call: a size may come
from the environment, a split from an unseeded draw. Such runs must not be
averaged.
"""

import hashlib
import json
import warnings
from typing import Any

import keras

from keras_mtl.comparison.data import Data
from keras_mtl.comparison.examples import Arrays
from keras_mtl.comparison.examples import digest_of

#: What a class or function of the user that has no config raises.
NO_CONFIG = (
    AttributeError,
    KeyError,
    NotImplementedError,
    TypeError,
    ValueError,
)

#: Arguments of `compile` on which the results depend.
COMPILED = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")

# Seeds make other numbers, not another model.
LEFT_OUT = {"build_config", "compile_config", "registered_name", "seed"}

#: Longer texts are code or weights, which have no canonical form.
LONGEST = 256

#: What must be the same on all backends. The others may differ by rounding.
OF_ALL_BACKENDS = ("tasks", "parameters", "num_train", "num_test")
OF_ONE_BACKEND = ("shapes", "model", "data")


class OtherProblemError(ValueError):
    """Raised for what must not be averaged with what is there."""


def model_identity(model: Any) -> dict[str, Any]:
    """Returns what a model is, apart from names and random numbers.

    Args:
        model: A compiled `MultiTaskModel`.

    Returns:
        `tasks`; `parameters`, the number of weights, and `shapes`, a digest
        of theirs, both `None` as long as there are none; `model`, a digest of
        the configs, as far as there are such, of the network and of what was
        compiled.
    """
    parameters = shapes = None
    if model.built:
        parameters = int(model.count_params())
        shapes = _digest([[it.dtype, list(it.shape)] for it in model.weights])
    with warnings.catch_warnings():
        # Of code in the config, which is left out.
        warnings.simplefilter("ignore")
        configs = [_config(model.get_config), _config(model.get_compile_config)]
    network, compiled = configs
    if network is not None:
        # It is the command that chooses the strategy.
        network = {**network, "strategy": None}
    if compiled is not None:
        compiled = {name: compiled.get(name) for name in COMPILED}
    return {
        "tasks": list(model.tasks),
        "parameters": parameters,
        "shapes": shapes,
        "model": _digest(
            _without_names({"config": network, "compiled": compiled})
        ),
    }


def data_identity(data: Data) -> dict[str, Any]:
    """Returns the numbers of examples, and `data`, a digest of them.

    Of arrays of more than 256 MiB it is one of evenly spaced examples, of
    Python objects their number alone, and of what comes in batches the shapes
    and the name that the user has given; the numbers are then `None`.
    """
    return {
        "num_train": data.train.count,
        "num_test": data.test.count,
        "data": _digest([digest_of(*data.parts), *data.label]),
    }


def check_same_data(found: Data, known: Data, where: str) -> None:
    """Raises `OtherProblemError` if a function has returned other examples.

    Batches are not asked for, which would change the order of the next ones.

    Args:
        found: What it has returned now.
        known: What it returned before.
        where: What needs the examples.
    """

    def content(data: Data) -> dict[str, Any]:
        arrays = [it if isinstance(it, Arrays) else None for it in data.parts]
        return {"data": _digest([digest_of(*arrays), *data.label])}

    check_identity(content(found), content(known), where)


def check_identity(
    found: dict[str, Any], known: dict[str, Any], where: str
) -> None:
    """Raises `OtherProblemError`, naming what differs, if they are not one.

    What is `None` on one side is not known, and not compared.

    Args:
        found: What `model_identity` and `data_identity` return, or a part.
        known: The same of the runs that it will be compared with.
        where: What has been found.
    """
    for name in found:
        values = found[name], known.get(name)
        if None not in values and values[0] != values[1]:
            raise OtherProblemError(
                "Runs of other models or other data are not averaged: "
                f"{where} has {name}={values[0]!r}, other results have "
                f"{name}={values[1]!r}. The functions of the model and of the "
                "data must return the same at each call. Go back to what they "
                "returned, or name another folder with --output."
            )


def _config(get: Any) -> Any:
    try:
        return keras.saving.serialize_keras_object(get())
    except NO_CONFIG:
        # Then the shapes of the weights have to tell.
        return None


def _without_names(value: Any) -> Any:
    """Numbers layers, which Keras names by how many there were before."""
    numbers: dict[str, str] = {}

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            config = node.get("config")
            if isinstance(config, dict) and not str(
                node.get("class_name")
            ).endswith("DTypePolicy"):
                name = config.get("name")
                if isinstance(name, str):
                    numbers.setdefault(name, f"#{len(numbers)}")
            for item in node.values():
                collect(item)
        elif isinstance(node, (list, tuple)):
            for item in node:
                collect(item)

    def replace(node: Any) -> Any:
        if isinstance(node, dict):
            if node.get("class_name") in ("__lambda__", "__bytes__"):
                return node["class_name"]
            return {
                numbers.get(key, key): replace(item)
                for key, item in node.items()
                if key not in LEFT_OUT
            }
        if isinstance(node, (list, tuple)):
            return [replace(item) for item in node]
        if isinstance(node, str):
            return numbers.get(node, node if len(node) <= LONGEST else "…")
        return node

    collect(value)
    return replace(value)


def _kind(value: Any) -> str:
    return type(value).__name__


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=_kind)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
