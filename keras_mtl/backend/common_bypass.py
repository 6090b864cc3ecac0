"""What layers read past Keras's variables."""

import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras

from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = ["Bypass"]


class Bypass:
    """What a model reads past Keras's variables.

    Args:
        model: The model.
        variables: Its trainable variables.

    Attributes:
        state: Besides Keras's variables, what a pass changes as it goes.
    """

    def __init__(
        self, model: keras.Model, variables: Sequence[Variable]
    ) -> None:
        self.state: list[Any] = []

    def scope(
        self, trainable: list[Tensor] | None, state: list[Tensor]
    ) -> "Scope":
        """A context in which layers compute with the given values.

        Args:
            trainable: Values of the variables, or `None` for their own.
            state: Values of `state`. They stay as they are.
        """
        return Scope()

    def protected(self) -> AbstractContextManager[Any]:
        """A context after which `state` is as it was before."""
        return contextlib.nullcontext()


class Scope(AbstractContextManager["Scope"]):
    """The context that `Bypass.scope` returns.

    Attributes:
        after: After the context, what became of the state.
    """

    def __init__(self) -> None:
        self.after: list[Tensor] = []

    def __exit__(self, *args: Any) -> None:
        return None
