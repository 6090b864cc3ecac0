"""JAX: gradients by variables as they are, and a batch before its step."""

import itertools

import jax
import numpy as np
from keras import ops
from keras import tree

from keras_mtl.backend.jax import reached_variables

#: Options of XLA for what runs once.
QUICKLY = {
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": True,
}


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
    before = [variable.value for variable in variables]

    def at(values):
        _assign_all(variables, values)
        return function()

    try:
        (total, others), gradients = jax.value_and_grad(at, has_aux=True)(
            before
        )
    finally:
        _assign_all(variables, before)
    return total, others, gradients


def live_reach(function, variables, run_eagerly):
    """Tells by which variables, as they are, each of some losses has gradients.

    Args:
        function: Takes nothing and returns a list of scalars.
        variables: List of Keras variables.
        run_eagerly: The model's setting.

    Returns:
        One set of indices into `variables` per loss.
    """
    before = [variable.value for variable in variables]

    def at(values):
        _assign_all(variables, values)
        return function()

    try:
        return reached_variables(at, before)
    finally:
        _assign_all(variables, before)


def evaluate_live(function, variables, data, run_eagerly):
    """Returns what a function makes of data and variables, as NumPy arrays.

    Args:
        function: Maps `data` to a list of tensors. It may assign to the
            variables if it puts them back.
        variables: All variables that it may read.
        data: Nested structure of arrays.
        run_eagerly: The model's setting.
    """
    before = [variable.value for variable in variables]

    def at(values, data):
        _assign_all(variables, values)
        return function(data)

    try:
        if not run_eagerly:
            at = jax.jit(at, compiler_options=QUICKLY)
        results = at(before, data)
    except jax.errors.UnexpectedTracerError as error:
        raise ValueError(
            "A layer keeps what it has computed with from one pass to the "
            "next, where steps of a strategy cannot give it other values: take "
            "`@jax.jit` from its `call`, which is compiled with the step, or "
            "do not keep tensors in attributes."
        ) from error
    finally:
        _assign_all(variables, before)
    return [np.asarray(result) for result in results]


def peek(iterator, count):
    """Returns the next of an iterator, and an iterator that still has it."""
    data = next(iterator)
    return data, itertools.chain([data], iterator)


def _assign_all(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def local_tensors(model, data):
    """Returns the arrays of a batch, as far as they are here."""
    return tree.map_structure(
        lambda a: None if a is None else ops.convert_to_tensor(a), data
    )


def autocast_dtypes() -> list[str]:
    """Dtypes that the framework replaces those of layers by: none."""
    return []
