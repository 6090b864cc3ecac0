"""What is exported of a model for inference."""

from typing import Any

import keras

from keras_mtl.models import networks
from keras_mtl.models.task_structure import TaskStructure


def input_signature(structure: TaskStructure, is_built: bool) -> Any:
    """Returns the signature of one batch, or `None` if Keras knows it.

    Args:
        structure: What is known of the model.
        is_built: Whether the model is built.

    Raises:
        ValueError: If nobody knows it.
    """
    inputs = structure.known_inputs()
    if inputs is None and not is_built:
        raise ValueError(
            "The inputs of this model are not known yet. Call it with a "
            "batch, `model(x)`, or say what they are: `export(..., "
            "input_signature=[keras.InputSpec(shape=(None, 8), "
            "dtype='float32')])`."
        )
    if inputs is None:
        return None
    has_names = networks.is_functional(structure.network)
    return [
        keras.tree.map_structure(lambda x: _input_spec(x, has_names), inputs)
    ]


def symbolic_inputs(signature: Any) -> list[Any]:
    """Returns symbolic inputs for a call that makes a model's weights."""
    if not isinstance(signature, (list, tuple)):
        signature = [signature]
    return keras.tree.map_structure(_symbolic, list(signature))


def _input_spec(x: Any, has_names: bool) -> keras.InputSpec:
    if x is None:
        raise ValueError(
            "One of the model's inputs was `None` when it was first called, so "
            "that its shape is not known. Say what the inputs are: "
            "`export(..., input_signature=[...])`."
        )
    return keras.InputSpec(
        shape=(None, *x.shape[1:]),
        dtype=x.dtype,
        name=x.name if has_names else None,
    )


def _symbolic(spec: Any) -> keras.KerasTensor:
    # Also of TensorFlow, whose shapes and dtypes are objects.
    return keras.KerasTensor(
        tuple(spec.shape), dtype=keras.backend.standardize_dtype(spec.dtype)
    )
