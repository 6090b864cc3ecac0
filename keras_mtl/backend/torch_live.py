"""torch: gradients by variables as they are, and a batch before its step."""

import torch
from keras import ops
from keras import tree

from keras_mtl.backend.torch import alone
from keras_mtl.backend.torch import reached_by
from keras_mtl.backend.torch import to_host
from keras_mtl.backend.torch_precision import full_precision


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
    leaves = [variable.value for variable in variables]
    # It has weights as they were before something was assigned to them.
    torch.clear_autocast_cache()
    with torch.enable_grad():
        total, others = function()
    gradients = [None] * len(leaves)
    if total.requires_grad:
        gradients = torch.autograd.grad(total, leaves, allow_unused=True)
    return (
        total.detach(),
        [other.detach() for other in others],
        [
            torch.zeros_like(leaf) if gradient is None else gradient
            for leaf, gradient in zip(leaves, gradients, strict=True)
        ],
    )


def live_reach(function, variables, run_eagerly):
    """Tells by which variables, as they are, each of some losses has gradients.

    Args:
        function: Takes nothing and returns a list of scalars.
        variables: List of Keras variables.
        run_eagerly: The model's setting.

    Returns:
        One set of indices into `variables` per loss.
    """
    with torch.enable_grad():
        losses = function()
    return reached_by(losses, [variable.value for variable in variables])


def evaluate_live(function, variables, data, run_eagerly):
    """Returns what a function makes of data and variables, as NumPy arrays.

    Args:
        function: Maps `data` to a list of tensors. It may assign to the
            variables if it puts them back.
        variables: All variables that it may read.
        data: Nested structure of arrays.
        run_eagerly: The model's setting.
    """
    with torch.no_grad(), alone(), full_precision():
        return to_host(function(data))


def peek(iterator, count):
    """Returns the first of the batches that a step is given, and all."""
    return iterator[0], iterator


def local_tensors(model, data):
    """Returns the tensors of a batch, as far as they are here."""
    return tree.map_structure(
        lambda a: None if a is None else ops.convert_to_tensor(a), data
    )


def autocast_dtypes() -> list[str]:
    """Dtypes that the framework replaces those of layers by."""
    return [
        str(torch.get_autocast_dtype(device)).removeprefix("torch.")
        for device in ("cpu", "cuda")
        if torch.is_autocast_enabled(device)
    ]
