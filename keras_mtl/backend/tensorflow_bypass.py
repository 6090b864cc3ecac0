"""Weights that a `tf.function` within a model would keep from its tracing."""

from typing import Any

import tensorflow as tf

from keras_mtl.backend import no_bypass


class Bypass(no_bypass.Bypass):
    """What a model reads past Keras's variables.

    A layer's `call` under `@tf.function` is traced once and would then compute
    with the values of that pass for ever. In a pass such functions are a part
    of the graph around them, as if they were not decorated.
    """

    def scope(self, trainable: list[Any] | None, state: list[Any]) -> "Scope":
        return Scope()


class Scope(no_bypass.Scope):
    """The context that `Bypass.scope` returns."""

    def __enter__(self):
        self._before = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(True)
        return self

    def __exit__(self, *args):
        tf.config.run_functions_eagerly(self._before)
