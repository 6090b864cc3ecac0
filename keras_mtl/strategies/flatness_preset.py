"""Presets that take the arguments of their flatness regularizer."""

from typing import Any

from keras_mtl.flatness import Flatness
from keras_mtl.strategies.strategy import Strategy


class FlatnessPreset(Strategy):
    """A strategy whose arguments are those of its flatness regularizer."""

    flatness: Flatness

    #: The arguments of `flatness` that the constructor takes.
    flatness_arguments: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["flatness"]
        flatness = self.flatness.get_config()
        own = {name: flatness[name] for name in self.flatness_arguments}
        return {**config, **own}
