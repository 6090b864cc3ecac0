"""Layers that TensorFlow would compute again without the values of a pass."""

import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_mtl.backend import common_bypass
from keras_mtl.typing import Tensor

__all__ = [
    "Bypass",
]


class Bypass(common_bypass.Bypass):
    """Keeps layers from being computed again.

    `keras.RematScope` computes layers again in the backward pass, by
    `tf.recompute_grad`, which knows gradients by a function's arguments and by
    `tf.Variable`s, not by the tensors that a pass has in their place. So in a
    pass nothing is computed again.
    """

    def scope(
        self, trainable: list[Tensor] | None, state: list[Tensor]
    ) -> "Scope":
        return Scope()


class Scope(common_bypass.Scope):
    """Takes `tf.recompute_grad` away, in all threads."""

    # Replicas have threads.
    _lock = threading.Lock()
    _count = 0
    _before: Any = None

    def __enter__(self) -> "Scope":
        with Scope._lock:
            if not Scope._count:
                Scope._before = tf.recompute_grad
                tf.recompute_grad = _computed_once
            Scope._count += 1
        return self

    def __exit__(self, *args: Any) -> None:
        with Scope._lock:
            Scope._count -= 1
            if not Scope._count:
                tf.recompute_grad = Scope._before


def _computed_once(function: Callable[..., Any]) -> Callable[..., Any]:
    return function
