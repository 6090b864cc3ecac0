"""The decorator that gives a symbol its public path and its saved name."""

from collections.abc import Callable
from typing import TypeVar

import keras

Symbol = TypeVar("Symbol")

PACKAGE = "keras_mtl"

#: Public path of every exported symbol, e.g. `"keras_mtl.aggregators.MGDA"`.
EXPORTS: dict[str, object] = {}


def keras_mtl_export(path: str) -> Callable[[Symbol], Symbol]:
    """Records a symbol's public path and registers classes for saving.

    Args:
        path: The public path, e.g. `"keras_mtl.aggregators.MGDA"`. Its last
            part must be the symbol's name.

    Returns:
        A decorator that returns its argument unchanged. A class with a
        `get_config` is registered under the package `"keras_mtl"`, so that
        `.keras` files that contain it load in safe mode.
    """

    def decorate(symbol: Symbol) -> Symbol:
        EXPORTS[path] = symbol
        if isinstance(symbol, type) and hasattr(symbol, "get_config"):
            # The family is part of the name: an aggregator and a preset may
            # both be called DBMTL.
            name = path.removeprefix(f"{PACKAGE}.")
            keras.saving.register_keras_serializable(PACKAGE, name)(symbol)
        return symbol

    return decorate
