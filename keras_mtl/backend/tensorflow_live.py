"""TensorFlow: gradients by variables as they are, and a batch before it."""

import concurrent.futures
import itertools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from keras_mtl.backend.tensorflow import reached_by
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

__all__ = [
    "evaluate_live",
    "live_gradients",
    "live_reach",
    "local_tensors",
    "peek",
]


def live_gradients(
    function: Callable[[], tuple[Tensor, list[Tensor]]],
    variables: Sequence[Variable],
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    with tf.GradientTape() as tape:
        total, others = function()
    gradients = tape.gradient(
        total,
        [variable.value for variable in variables],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return total, others, [tf.convert_to_tensor(g) for g in gradients]


def live_reach(
    function: Callable[[], list[Tensor]],
    variables: Sequence[Variable],
    run_eagerly: bool,
) -> list[set[int]]:
    reached = []

    def trace() -> None:
        with tf.GradientTape(persistent=True) as tape:
            losses = function()
        values = [variable.value for variable in variables]
        reached.extend(reached_by(tape, losses, values))

    if run_eagerly:
        trace()
    else:
        # Nothing is computed.
        tf.function(trace, autograph=False).get_concrete_function()
    return reached


def evaluate_live(
    function: Callable[[Any], list[Tensor]],
    variables: Sequence[Variable],
    data: Any,
    run_eagerly: bool,
) -> Any:

    def evaluate() -> list[Any]:
        def compute() -> list[Tensor]:
            return function(data)

        # In a graph, as a step is: layers may not do without.
        if not run_eagerly:
            compute = tf.function(compute, autograph=False)
        return [tensor.numpy() for tensor in compute()]

    if not tf.distribute.has_strategy():
        return evaluate()
    # In a thread of its own there is one replica.
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        return executor.submit(evaluate).result()


def peek(iterator: Any, count: int) -> tuple[Any, Any]:
    data = next(iterator)
    batches = [data, *itertools.islice(iterator, count - 1)]
    if not isinstance(iterator, tf.data.Iterator):
        return data, iter(batches)
    # Of the same spec, so that no step is traced twice.
    dataset = tf.data.Dataset.from_generator(
        lambda: batches, output_signature=iterator.element_spec
    )
    return data, iter(dataset)


def local_tensors(model: keras.Model, data: Any) -> Any:
    strategy = model.distribute_strategy

    def first(value: Any) -> Any:
        # Optional inputs that are not given, and parts by replica.
        if value is None or isinstance(value, tf.experimental.Optional):
            return None
        (local, *_) = strategy.experimental_local_results(value)
        return local if tf.is_tensor(local) else tf.convert_to_tensor(local)

    return tree.map_structure(first, data)
