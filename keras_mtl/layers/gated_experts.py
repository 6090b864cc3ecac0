"""What layers share in which gates mix the outputs of experts."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.layers.copies import Template
from keras_mtl.layers.copies import with_templates
from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor


class GatedExperts(keras.layers.Layer):
    """Experts, and gates that each mix the outputs of some of them.

    Subclasses call `set_parts` in `__init__`, `build_parts` in `build` and
    `mix` in `call`.

    Args:
        gate: Template of the gates, or `None`: the softmax of a linear map.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(self, gate: keras.layers.Layer | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self._gate = None if gate is None else Template("gate", gate)

    def set_parts(
        self,
        experts: Sequence[keras.layers.Layer],
        mixtures: Mapping[str, Sequence[int]],
    ) -> None:
        """Sets the experts, and makes the gates.

        Args:
            experts: All experts.
            mixtures: For each gate, by its name, which experts it mixes.
        """
        self.experts = list(experts)
        self.mixtures = {name: tuple(mixtures[name]) for name in mixtures}
        self.gates = {
            name: self._make_gate(name, len(members))
            for name, members in self.mixtures.items()
        }

    def _make_gate(self, name: str, num_experts: int) -> Any:
        name = f"{name}_gate" if name else "gate"
        if self._gate is not None:
            return self._gate.copy(name, num_experts)
        return keras.layers.Dense(
            num_experts,
            activation="softmax",
            use_bias=False,
            name=name,
            dtype=self.dtype_policy,
        )

    # ------------------------------------------------------------ build

    def build_parts(
        self, expert_shapes: Sequence[Any], gate_shapes: Mapping[str, Any]
    ) -> None:
        """Builds experts and gates, and checks that they fit together.

        Args:
            expert_shapes: Shape of the input of each expert.
            gate_shapes: Shape of the input of each gate, by name.

        Raises:
            ValueError: If experts differ in the shapes of their outputs, or a
                gate does not give one weight per expert.
        """
        shapes = [
            _built(expert, shape)
            for expert, shape in zip(self.experts, expert_shapes, strict=True)
        ]
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(
                "All experts must give outputs of one shape. Received: "
                + ", ".join(
                    f"{expert.name} {shape}"
                    for expert, shape in zip(self.experts, shapes, strict=True)
                )
            )
        #: Shape of the output of any expert, and of any mixture.
        self.expert_shape = shapes[0]
        for name, gate in self.gates.items():
            shape = _built(gate, gate_shapes[name])
            self._check_gate(gate, shape, len(self.mixtures[name]))

    def _check_gate(self, gate: Any, shape: Shape, num_experts: int) -> None:
        if shape[-1] != num_experts:
            raise ValueError(
                f"The gate {gate.name!r} must give one weight for each of its "
                f"{num_experts} experts. Received: a gate with an output of "
                f"shape {shape}"
            )
        if len(shape) > len(self.expert_shape) or not _agree(
            shape[:-1], self.expert_shape
        ):
            raise ValueError(
                f"The gate {gate.name!r} gives weights of shape {shape}, which "
                "do not fit to outputs of experts of shape "
                f"{self.expert_shape}: all axes but the last must be the first "
                "axes of these. Pass a `gate` that takes the other axes "
                "together, e.g. keras.Sequential([keras.layers."
                "GlobalAveragePooling2D(), keras.layers.Dense(num_experts, "
                'activation="softmax")]).'
            )

    # ------------------------------------------------------------- call

    def mix(
        self,
        outputs: Sequence[Any],
        gate_inputs: Mapping[str, Any],
        training: bool | None,
    ) -> dict[str, Any]:
        """Returns the mixture of each gate, by its name.

        Args:
            outputs: Outputs of all experts.
            gate_inputs: The input of each gate, by name.
            training: Whether this is a training step.
        """
        outputs = [ops.cast(output, self.compute_dtype) for output in outputs]
        stacks: dict[tuple[int, ...], Any] = {}
        mixed = {}
        for name, members in self.mixtures.items():
            # One stack for gates with the same experts, and none of others:
            # what a task does not use must not enter its graph.
            if members not in stacks:
                stacks[members] = ops.stack([outputs[i] for i in members])
            weights = self.gates[name](gate_inputs[name], training=training)
            weights = ops.cast(weights, self.compute_dtype)
            mixed[name] = _weighted_sum(stacks[members], weights)
        return mixed

    def mask_of_outputs(self, mask: Any) -> Any:
        """Returns the mask if the outputs of experts still have its axes."""
        if mask is None or len(mask.shape) >= len(self.expert_shape):
            return None
        return mask if _agree(mask.shape, self.expert_shape) else None

    def get_config(self) -> dict[str, Any]:
        gate = None if self._gate is None else self._gate.serialize()
        return {**super().get_config(), "gate": gate}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Any:
        return cls(**with_templates(config, custom_objects))


def _built(layer: Any, shape: Shape) -> Shape:
    """Builds a layer of any kind and returns the shape of its output."""
    # Only a call builds layers that have no `build` of their own.
    return tuple(layer(keras.KerasTensor(tuple(shape))).shape)


def _agree(shape: Shape, longer: Shape) -> bool:
    """Whether `longer` begins with `shape`, as far as sizes are known."""
    return all(
        a == b or a is None or b is None
        for a, b in zip(shape, longer, strict=False)
    )


def _weighted_sum(stack: Tensor, weights: Tensor) -> Tensor:
    """Sums `[experts, batch, ...]` by weights `[batch, ..., experts]`."""
    weights = ops.moveaxis(weights, -1, 0)
    for _ in range(len(stack.shape) - len(weights.shape)):
        weights = ops.expand_dims(weights, -1)
    return ops.sum(weights * stack, axis=0)
