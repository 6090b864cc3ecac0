"""TensorFlow: gradients by variables as they are, and a batch before it."""

import concurrent.futures
import itertools

import tensorflow as tf
from keras import tree

from keras_mtl.backend.tensorflow import reached_by


def live_gradients(function, variables):
    """Returns a scalar and its gradients by variables as they are.

    As a training step of `keras.Model` takes them, without a scope that
    replaces their values.

    Args:
        function: Takes nothing and returns a scalar and anything else.
        variables: List of Keras variables.

    Returns:
        `(scalar, else, gradients)`.
    """
    with tf.GradientTape() as tape:
        total, others = function()
    gradients = tape.gradient(
        total,
        [variable.value for variable in variables],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return total, others, [tf.convert_to_tensor(g) for g in gradients]


def live_reach(function, variables, run_eagerly):
    """Tells by which variables, as they are, each of some losses has gradients.

    Args:
        function: Takes nothing and returns a list of scalars.
        variables: List of Keras variables.
        run_eagerly: The model's setting.

    Returns:
        One set of indices into `variables` per loss.
    """
    reached = []

    def trace():
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


def evaluate_live(function, variables, data, run_eagerly):
    """Returns what a function makes of data and variables, as NumPy arrays.

    Args:
        function: Maps `data` to a list of tensors. It may assign to the
            variables if it puts them back.
        variables: All variables that it may read.
        data: Nested structure of arrays.
        run_eagerly: The model's setting.
    """

    def evaluate():
        def compute():
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


def peek(iterator, count):
    """Returns the next of an iterator, and an iterator that still has it.

    Args:
        iterator: What the trainer gives a step.
        count: How many batches a step takes from it at most.
    """
    data = next(iterator)
    batches = [data, *itertools.islice(iterator, count - 1)]
    if not isinstance(iterator, tf.data.Iterator):
        return data, iter(batches)
    # Of the same spec, so that no step is traced twice.
    dataset = tf.data.Dataset.from_generator(
        lambda: batches, output_signature=iterator.element_spec
    )
    return data, iter(dataset)


def local_tensors(model, data):
    """Returns the tensors of a batch, as far as they are here."""
    strategy = model.distribute_strategy

    def first(value):
        # Optional inputs that are not given, and parts by replica.
        if value is None or isinstance(value, tf.experimental.Optional):
            return None
        (local, *_) = strategy.experimental_local_results(value)
        return local if tf.is_tensor(local) else tf.convert_to_tensor(local)

    return tree.map_structure(first, data)


def autocast_dtypes() -> list[str]:
    """Dtypes that the framework replaces those of layers by: none."""
    return []
