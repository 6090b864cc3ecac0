"""Exporting a model for inference, without what only training needs."""

from pathlib import Path
from typing import Any

import keras

from keras_mtl.models import networks


class Serving(keras.Model):
    """The part of `MultiTaskModel` that exports it.

    It needs `network` and `_overrides_call` of the class that it is part of.
    """

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Exports inputs to outputs as `keras.Model.export` does.

        What is exported is the network: nothing of the strategy, the losses or
        the optimizer goes with it, and training goes on afterwards as if
        nothing had been.

        Args:
            filepath: As for `keras.Model.export`.
            format: As for `keras.Model.export`.
            verbose: As for `keras.Model.export`.
            input_signature: As for `keras.Model.export`. Defaults to `None`:
                the inputs of a Functional model, else those of the first
                call.
            **kwargs: As for `keras.Model.export`.

        Raises:
            ValueError: If Keras does not have the format on this backend, or
                the model's inputs are not known.

        Example:

        ```python
        formats = {"torch": "torch"}
        format = formats.get(keras.backend.backend(), "tf_saved_model")
        model.export("exported.pt2", format=format, verbose=False)
        ```
        """
        if input_signature is None:
            input_signature = self._input_signature()
        if not self.built:
            self._build_for(input_signature)
        export, served = super().export, self
        if self._network_is_known and not self._overrides_call():
            export, served = self.network.export, self.network
        with self.strategy_in_use.hidden(), networks.attributes_kept(served):
            export(
                filepath,
                format=format,
                verbose=verbose,
                input_signature=input_signature,
                **kwargs,
            )

    def _network(self):
        return self.network if self._network_is_known else self

    def known_inputs(self) -> Any:
        """Returns symbolic inputs for a batch, `None` if they are not known."""
        network = self._network()
        if networks.is_functional(network):
            return network.input
        inputs = self._settings.input_spec
        if inputs is None:
            inputs = networks.symbolic_inputs(network)
        if inputs is None:
            inputs = _inputs_when_built(network)
        if inputs is None:
            return None
        return keras.tree.map_structure(_of_any_batch, inputs)

    def _input_signature(self):
        """Returns the signature of one batch, or `None` if Keras knows it."""
        inputs = self.known_inputs()
        if inputs is None and not self.built:
            raise ValueError(
                "The inputs of this model are not known yet. Call it with a "
                "batch, `model(x)`, or say what they are: `export(..., "
                "input_signature=[keras.InputSpec(shape=(None, 8), "
                "dtype='float32')])`."
            )
        if inputs is None:
            return None
        has_names = networks.is_functional(self._network())
        return [
            keras.tree.map_structure(
                lambda x: _input_spec(x, has_names), inputs
            )
        ]

    def _build_for(self, signature):
        """Makes the weights of a model that was never called."""
        if not isinstance(signature, (list, tuple)):
            signature = [signature]
        self(*keras.tree.map_structure(_symbolic, list(signature)))


def _inputs_when_built(network):
    """The inputs that a layer says it was built for, if it is one structure."""
    # What is loaded from a file was built, but never called.
    shape = (network.get_build_config() or {}).get("input_shape")
    if shape is None:
        return None
    return keras.tree.map_shape_structure(keras.KerasTensor, _plain(shape))


def _plain(shapes):
    """A structure of shapes without the containers that Keras tracks."""
    if isinstance(shapes, dict):
        return {key: _plain(shape) for key, shape in shapes.items()}
    if isinstance(shapes, (list, tuple)):
        return [_plain(shape) for shape in shapes]
    return shapes


def _of_any_batch(x):
    """A symbolic input for what was given in a call, as `predict` gives it."""
    if x is None:
        return None
    is_float = keras.backend.is_float_dtype(x.dtype)
    return keras.KerasTensor(
        (None, *x.shape[1:]),
        dtype=keras.config.floatx() if is_float else x.dtype,
    )


def _input_spec(x, has_names):
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


def _symbolic(spec):
    # Also of TensorFlow, whose shapes and dtypes are objects.
    return keras.KerasTensor(
        tuple(spec.shape), dtype=keras.backend.standardize_dtype(spec.dtype)
    )
