"""For frameworks whose layers read all that they need by Keras's variables."""

import contextlib
from typing import Any


class Bypass:
    """What a model reads past Keras's variables: nothing.

    Args:
        model: The model.
        variables: Its trainable variables.

    Attributes:
        state: Besides Keras's variables, what a pass changes as it goes.
    """

    def __init__(self, model, variables):
        self.state: list[Any] = []

    def scope(self, trainable: list[Any] | None, state: list[Any]) -> "Scope":
        """A context in which layers compute with the given values.

        Args:
            trainable: Values of the variables, or `None` for their own.
            state: Values of `state`.
        """
        return Scope()

    def protected(self) -> contextlib.AbstractContextManager:
        """A context after which `state` is as it was before."""
        return contextlib.nullcontext()


class Scope(contextlib.AbstractContextManager):
    """The context that `Bypass.scope` returns.

    Attributes:
        after: After the context, what became of the state.
    """

    def __init__(self):
        self.after: list[Any] = []

    def __exit__(self, *args):
        return None
