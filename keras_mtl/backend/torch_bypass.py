"""Weights and state that wrapped torch modules read by themselves."""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
import torch

from keras_mtl.backend import common_bypass
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "Bypass",
]


class Buffer:
    """A buffer of a torch module, such as a moving average, as a variable.

    Args:
        module: The `torch.nn.Module` that has it.
        key: Its name in the module.
    """

    def __init__(self, module: torch.nn.Module, key: str):
        self.tensors = module._buffers
        self.key = key
        self.name = key

    @property
    def value(self) -> Tensor:
        """The buffer itself."""
        return self.tensors[self.key]

    @torch.no_grad()
    def assign(self, value: Tensor) -> None:
        """Sets the buffer to a tensor."""
        self.value.copy_(value)


class Bypass(common_bypass.Bypass):
    """Parameters and buffers of modules in `keras.layers.TorchModuleWrapper`.

    These read them by themselves, not by the Keras variables that stand for
    them. The state is the buffers.
    """

    def __init__(self, model: keras.Model, variables: Sequence[Variable]):
        places = {id(v.value): i for i, v in enumerate(variables)}
        #: Where parameters are: a module's dict, a key, and the variable's
        #: index.
        self.parameters: list[tuple[dict, str, int]] = []
        self.state: list[Buffer] = []
        for module in _torch_modules(model):
            for key, parameter in module._parameters.items():
                if id(parameter) in places:
                    self.parameters.append(
                        (module._parameters, key, places[id(parameter)])
                    )
            for key, buffer in module._buffers.items():
                if buffer is not None:
                    self.state.append(Buffer(module, key))

    def scope(
        self, trainable: list[Tensor] | None, state: list[Tensor]
    ) -> "Scope":
        return Scope(self, trainable, state)

    def protected(self) -> "Scope":
        return self.scope(None, [buffer.value for buffer in self.state])


class Scope(common_bypass.Scope):
    """Puts values into the modules, and takes them out again."""

    def __init__(
        self,
        bypass: "Bypass",
        trainable: list[Tensor] | None,
        state: list[Tensor],
    ):
        self._bypass = bypass
        self._trainable = trainable
        self._state = state
        self._before: list[tuple[dict, str, Any]] = []
        self.after = state

    def __enter__(self) -> "Scope":
        parameters = self._bypass.parameters
        if self._trainable is not None:
            for tensors, key, i in parameters:
                self._replace(tensors, key, self._trainable[i])
        for buffer, value in zip(self._bypass.state, self._state, strict=True):
            # Modules change them in place.
            self._replace(buffer.tensors, buffer.key, value.clone())
        return self

    def _replace(
        self, tensors: dict[str, Any], key: str, value: Tensor
    ) -> None:
        self._before.append((tensors, key, tensors[key]))
        tensors[key] = value

    def __exit__(self, *args: Any) -> None:
        self.after = [buffer.value.detach() for buffer in self._bypass.state]
        while self._before:
            tensors, key, value = self._before.pop()
            tensors[key] = value


def _torch_modules(model: keras.Model) -> Iterator[torch.nn.Module]:
    """The modules in a model that are none of Keras's."""
    # `model.modules()` has no layers that Keras keeps in lists.
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.TorchModuleWrapper):
            yield from layer.module.modules()
