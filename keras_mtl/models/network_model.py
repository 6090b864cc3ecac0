"""A Keras model around a network."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_mtl.models import networks
from keras_mtl.models import serving
from keras_mtl.models.task_structure import TaskStructure
from keras_mtl.revive import revive_layer


def _of_network(attribute: str) -> property:
    return property(lambda model: model._delegate(attribute))


class NetworkModel(keras.Model):
    """A model that is a network, or does what its own `call` says.

    To Keras and to users it looks like the network that it wraps.

    Args:
        network: The network; `None` for a subclass that defines `call`.
        shared_layers: As for `MultiTaskModel`.
        task_layers: As for `MultiTaskModel`.
        **kwargs: Passed on to `keras.Model`, such as `name`.
    """

    task_structure: TaskStructure

    def __init__(
        self,
        network: keras.Model | None,
        shared_layers: Sequence[Any] | None,
        task_layers: dict[str, Sequence[Any]] | None,
        **kwargs: Any,
    ):
        if network is not None:
            # The wrapper adds no cast of its own to what the network does.
            kwargs.setdefault("dtype", network.dtype_policy)
            kwargs.setdefault("autocast", False)
        # Never the functional arguments: with them, keras.Model rewrites the
        # bases of this class for the whole process.
        super().__init__(**kwargs)
        self.task_structure = TaskStructure(
            self, network, shared_layers, task_layers
        )
        # Layers that are given as such are in files under these names.
        self._shared_layers = shared_layers
        self._task_layers = task_layers
        if network is not None:
            self.network = network
            if self.task_structure.parts is not None:
                # Of others a call must show the inputs, built or not.
                self.built = network.built

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.network(inputs, training=training)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if args:
            self.task_structure.note_inputs(args[0])
        return super().__call__(*args, **kwargs)

    def of_one_entry(self, inputs: Any) -> Any:
        """Returns inputs of the network, of what a call is given."""
        return inputs

    def build(self, input_shape: Any = None) -> None:
        structure = self.task_structure
        input_shape = self.of_one_entry(input_shape)
        if structure.network is None:
            if structure.input_spec is None and self._builds_by_call():
                # By a file that is loaded, for instance: a call builds the
                # layers, and comes here again.
                self(
                    keras.tree.map_shape_structure(
                        keras.KerasTensor, input_shape
                    )
                )
            else:
                super().build(input_shape)
            return
        if structure.input_spec is None:
            structure.input_spec = keras.tree.map_shape_structure(
                keras.KerasTensor, input_shape
            )
        if not self.network.built:
            self.network(structure.input_spec)
        self.built = True

    def _builds_by_call(self) -> bool:
        return type(self).build is NetworkModel.build

    def get_build_config(self) -> Any:
        config = super().get_build_config()
        structure = self.task_structure
        spec = structure.input_spec
        if config is None or spec is None or structure.network is not None:
            return config
        # A `build` of the subclass's own makes no call that could tell which
        # layers serve which task.
        spec = keras.saving.serialize_keras_object(spec)
        return {**config, "input_spec": spec}

    def build_from_config(self, config: Any) -> None:
        super().build_from_config(config)
        spec = config.get("input_spec")
        if spec is not None:
            self.task_structure.input_spec = revive_layer(spec)

    def network_alone(self) -> contextlib.AbstractContextManager[None]:
        """Within it, the model has the variables of its network alone."""
        return contextlib.nullcontext()

    def network_variables(self, trainable: bool) -> list[keras.Variable]:
        """The variables of the network, and nobody else's."""
        with self.network_alone():
            if trainable:
                return list(self.trainable_variables)
            return list(self.non_trainable_variables)

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
            input_signature = serving.input_signature(
                self.task_structure, self.built
            )
        if not self.built:
            self(*serving.symbolic_inputs(input_signature))
        export, served = super().export, self
        network = self.task_structure.called_network
        if network is not None:
            export, served = network.export, network
        with self.network_alone(), networks.attributes_kept(served):
            export(
                filepath,
                format=format,
                verbose=verbose,
                input_signature=input_signature,
                **kwargs,
            )

    # ---------------------------------------- what it has of the network

    def _delegate(self, attribute: str) -> Any:
        """Reads a property from the network where there is one."""
        structure = self.__dict__.get("task_structure")
        if structure is not None and structure.network is not None:
            return getattr(structure.network, attribute)
        return getattr(super(), attribute)

    inputs = _of_network("inputs")
    outputs = _of_network("outputs")
    input = _of_network("input")
    output = _of_network("output")
    input_shape = _of_network("input_shape")
    output_shape = _of_network("output_shape")
    operations = _of_network("operations")
    layers = _of_network("layers")

    @property
    def output_names(self) -> list[str]:
        names = self.task_structure.output_names
        if names is None:
            raise AttributeError(
                "The output names of a subclassed model are not known."
            )
        return names

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        shape = type(self).compute_output_shape
        if shape is not NetworkModel.compute_output_shape:
            return super().compute_output_spec(*args, **kwargs)
        # By a call, as where Keras knows of no method for the shape.
        return keras.Operation.compute_output_spec(self, *args, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        inputs = keras.tree.map_shape_structure(keras.KerasTensor, input_shape)
        return keras.tree.map_structure(
            lambda output: output.shape, self.compute_output_spec(inputs)
        )

    def count_params(self) -> int:
        return self._delegate("count_params")()

    def _obj_type(self) -> str:
        # Keras then saves the layers of the graph as such, and not by
        # attributes that hold some of them, too.
        parts = self.task_structure.parts
        if parts is not None and parts.graph:
            return self.network._obj_type()
        return super()._obj_type()

    def summary(self, *args: Any, **kwargs: Any) -> None:
        return self._delegate("summary")(*args, **kwargs)
