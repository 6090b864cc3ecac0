"""What mixtures share in which every gate mixes all experts."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.arguments import MOST_PARTS
from keras_mtl.arguments import checked_integer
from keras_mtl.layers.copies import Template
from keras_mtl.layers.gated_experts import GatedExperts
from keras_mtl.typing import Shape
from keras_mtl.typing import Tensor


class ExpertList(GatedExperts):
    """Experts with one input, all of which every gate mixes.

    Args:
        gate: Template of the gates, or `None`.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def set_experts(self, expert: Any, num_experts: Any, names: Any) -> None:
        """Makes experts of a template, or takes those of a list.

        Args:
            expert: A layer, or a list of layers.
            num_experts: The number of copies, or `None` with a list.
            names: Names of the gates.
        """
        self._template = None
        if isinstance(expert, (list, tuple)):
            experts = _checked_experts(expert, num_experts)
        else:
            self._template = Template("expert", expert)
            checked_integer("num_experts", num_experts, 2, MOST_PARTS)
            experts = [
                self._template.copy(f"expert_{i}") for i in range(num_experts)
            ]
        self.num_experts = len(experts)
        members = range(self.num_experts)
        self.set_parts(experts, dict.fromkeys(names, members))

    def build(
        self, inputs_shape: Shape, gate_inputs_shape: Shape | None = None
    ) -> None:
        if gate_inputs_shape is None:
            gate_inputs_shape = inputs_shape
        self.build_parts(
            [inputs_shape] * self.num_experts,
            dict.fromkeys(self.gates, gate_inputs_shape),
        )

    def run(
        self, inputs: Any, gate_inputs: Any, training: bool | None
    ) -> dict[str, Tensor]:
        """Returns the mixture of each gate, by its name."""
        if gate_inputs is None:
            gate_inputs = inputs
        outputs = [expert(inputs, training=training) for expert in self.experts]
        return self.mix(
            outputs, dict.fromkeys(self.gates, gate_inputs), training
        )

    def get_config(self) -> dict[str, Any]:
        if self._template is not None:
            expert: Any = self._template.serialize()
        else:
            serialize = keras.saving.serialize_keras_object
            expert = [serialize(layer) for layer in self.experts]
        return {
            **super().get_config(),
            "expert": expert,
            "num_experts": self.num_experts,
        }


def _checked_experts(
    experts: Sequence[Any], num_experts: int | None
) -> list[Any]:
    """Returns a list of ready experts, or raises `ValueError`."""
    if len(experts) < 2 or not all(
        isinstance(expert, keras.layers.Layer) for expert in experts
    ):
        raise ValueError(
            "Argument `expert` must be a layer, or a list of two or more "
            f"layers. Received: expert={experts!r}"
        )
    if len({id(expert) for expert in experts}) < len(experts):
        raise ValueError(
            "Argument `expert` lists one layer more than once; it would be a "
            "single expert with a single set of weights. Pass the layer and "
            "`num_experts` to get copies."
        )
    if num_experts not in (None, len(experts)):
        raise ValueError(
            "Argument `num_experts` must be the number of layers in `expert`, "
            f"or be left out. Received: num_experts={num_experts!r} for "
            f"{len(experts)} layers"
        )
    return list(experts)
