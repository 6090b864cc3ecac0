"""Compiled functions and compiled aggregators, on the backend of the run."""

import warnings

import keras
import numpy as np
from keras import ops

BACKEND = keras.backend.backend()


def compiled(function):
    """Returns the function compiled as far as the backend can."""
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)
    import torch

    # The limit of recompilations counts over all tests.
    torch.compiler.reset()
    compiled_function = torch.compile(function, fullgraph=True, backend="eager")

    def call(*arguments):
        with warnings.catch_warnings():
            # Of torch's own making while it traces.
            warnings.simplefilter("ignore")
            return compiled_function(*arguments)

    return call


def graph_aggregator(aggregator, monkeypatch):
    """Returns the aggregator on the path that it takes in a graph.

    Compiled, except on torch, where that takes long: there, one operation
    after the other.
    """
    if BACKEND != "torch":
        return compiled_aggregator(aggregator)
    monkeypatch.setattr("keras_mtl.backend.to_host", lambda tensors: None)
    return aggregator


def compiled_aggregator(aggregator):
    """Returns `call(jacobian, losses, mask)` that runs in a compiled graph.

    State goes in and comes out as values, as in the trainers of JAX.
    """

    def pure(values, *arguments):
        pairs = list(zip(aggregator.variables, values, strict=True))
        with keras.StatelessScope(pairs) as scope:
            update = aggregator(*arguments)
        return update, [
            scope.get_current_value(variable)
            for variable in aggregator.variables
        ]

    pure = compiled(aggregator if BACKEND == "torch" else pure)

    def call(jacobian, losses=None, mask=None):
        if not aggregator.built:
            stacks = jacobian if isinstance(jacobian, list) else [jacobian]
            aggregator.build(
                [tuple(stack.shape) for stack in stacks],
                keras.backend.standardize_dtype(stacks[0].dtype),
            )
        if BACKEND == "torch":
            return pure(jacobian, losses, mask)
        values = [variable.value for variable in aggregator.variables]
        update, values = pure(values, jacobian, losses, mask)
        for variable, value in zip(aggregator.variables, values, strict=True):
            variable.assign(value)
        return update

    return call


def tensor(array, dtype=None):
    """Returns a tensor; float64 stays float64 where the backend has it."""
    array = np.asarray(array)
    if dtype is None and BACKEND == "jax" and array.dtype == np.float64:
        dtype = "float32"
    return ops.convert_to_tensor(array, dtype=dtype or str(array.dtype))


def numpy(value):
    """Returns a tensor as a float64 array."""
    if BACKEND == "torch" and hasattr(value, "detach"):
        # `ops.convert_to_numpy` makes NumPy warn about torch.
        value = value.detach().cpu().numpy()
    return np.asarray(value).astype("float64")


def by_dtype(value, float64, float32):
    """Returns the tolerance for the dtype of a result."""
    dtype = keras.backend.standardize_dtype(value.dtype)
    return float64 if dtype == "float64" else float32
