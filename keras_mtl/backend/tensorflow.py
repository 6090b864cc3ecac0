"""TensorFlow: gradients by a persistent tape, and replicas."""

from collections.abc import Callable
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf

from keras_mtl.typing import LossFunction
from keras_mtl.typing import Pullback
from keras_mtl.typing import Pushforward
from keras_mtl.typing import Tensor

__all__ = [
    "after",
    "build_scope",
    "check_devices",
    "compile_function",
    "divided_loss",
    "hessian_product",
    "linearize",
    "linearize_both_ways",
    "num_replicas",
    "reached_variables",
    "sum_over_replicas",
    "to_host",
    "undivided_loss",
]


def linearize(
    function: LossFunction, values: list[Tensor]
) -> tuple[list[Tensor], Any, Pullback]:
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        tape.watch(values)
        losses, aux = function(values)

    def pullback(
        cotangents: dict[int, Tensor], wanted: Sequence[int], last: bool = False
    ) -> list[Tensor]:
        gradients = tape.gradient(
            [losses[k] for k in cotangents],
            [values[i] for i in wanted],
            output_gradients=[
                tf.cast(cotangent, losses[k].dtype)
                for k, cotangent in cotangents.items()
            ],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        # Embeddings give IndexedSlices.
        return [tf.convert_to_tensor(gradient) for gradient in gradients]

    return losses, aux, pullback


def linearize_both_ways(
    function: LossFunction, values: list[Tensor]
) -> tuple[list[Tensor], Any, Pullback, Pushforward]:
    # Gradients are linear in their seeds, by which they are differentiated.
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        losses, aux, pullback = linearize(function, values)
        seeds = tf.ones((len(losses),), losses[0].dtype)
        tape.watch(seeds)
        pulled = pullback(
            dict(enumerate(tf.unstack(seeds))), range(len(values))
        )

    def pushforward(tangents: dict[int, Tensor]) -> Tensor:
        return tf.convert_to_tensor(
            tape.gradient(
                [pulled[i] for i in tangents],
                seeds,
                output_gradients=list(tangents.values()),
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
        )

    return losses, aux, pullback, pushforward


def after(value: Tensor, other: Tensor) -> Tensor:
    with tf.control_dependencies([other]):
        return tf.identity(value)


def reached_variables(
    function: Callable[[list[Tensor]], list[Tensor]], values: list[Tensor]
) -> list[set[int]]:
    with tf.GradientTape(
        persistent=True, watch_accessed_variables=False
    ) as tape:
        tape.watch(values)
        outputs = function(values)
    return reached_by(tape, outputs, values)


def reached_by(
    tape: tf.GradientTape, outputs: Sequence[Tensor], values: Sequence[Tensor]
) -> list[set[int]]:
    return [
        {
            i
            for i, gradient in enumerate(tape.gradient(output, values))
            if gradient is not None
        }
        for output in outputs
    ]


def build_scope(model: keras.Model) -> AbstractContextManager[Any]:
    return model.distribute_strategy.scope()


def check_devices(branches: bool) -> None:
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync > 1 and not isinstance(
        strategy,
        (
            tf.distribute.MirroredStrategy,
            tf.distribute.MultiWorkerMirroredStrategy,
        ),
    ):
        raise ValueError(
            "On TensorFlow several replicas need a "
            "`tf.distribute.MirroredStrategy` or, for several processes, a "
            "`tf.distribute.MultiWorkerMirroredStrategy`. Use one of them, or "
            f"`strategy=None`. Received: {type(strategy).__name__} with "
            f"{strategy.num_replicas_in_sync} replicas."
        )
    if branches and strategy.num_replicas_in_sync > 1:
        raise ValueError(
            "TensorFlow's replicas cannot add up gradients that only some "
            "steps take. With several replicas use `update_every=1` in the "
            "strategy and `interval=1` in its flatness regularizer."
        )


def num_replicas() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(tensors: list[Tensor]) -> list[Tensor]:
    if num_replicas() == 1 or not tensors:
        return tensors
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def undivided_loss(value: Tensor) -> Tensor:
    # Keras divides it, so that replicas add up to a mean.
    return value * num_replicas()


def divided_loss(value: Tensor) -> Tensor:
    return value / num_replicas()

    # Mirrored variables are created equal.


def to_host(tensors: Sequence[Tensor]) -> Any:
    if not tf.executing_eagerly():
        return None
    return [
        None if tensor is None else tf.convert_to_tensor(tensor).numpy()
        for tensor in tensors
    ]


def hessian_product(
    function: Callable[[list[Tensor]], Tensor],
    values: list[Tensor],
    direction: list[Tensor],
) -> list[Tensor]:
    settings = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        outer.watch(values)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(values)
            output = function(values)
        gradients = inner.gradient(output, values, **settings)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    product = outer.gradient(
        gradients, values, output_gradients=direction, **settings
    )
    # Embeddings give IndexedSlices.
    return [tf.convert_to_tensor(part) for part in product]


def compile_function(
    function: Callable[..., Any], run_eagerly: bool, jit_compile: bool | str
) -> Callable[..., Any]:
    if run_eagerly:
        return function
    return tf.function(function, jit_compile=bool(jit_compile), autograph=False)
