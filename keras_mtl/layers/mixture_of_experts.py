"""Experts of which one gate mixes the outputs."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.export import keras_mtl_export
from keras_mtl.layers.expert_list import ExpertList


@keras_mtl_export("keras_mtl.layers.MixtureOfExperts")
class MixtureOfExperts(ExpertList):
    """Several sub-networks, and one gate that weighs them by the input.

    As the trunk of a multi-task model this is the one-gate mixture of experts
    (OMoE): inputs differ in the experts that they use, tasks do not. It is the
    baseline for `keras_mtl.layers.MMoE`, where each task has its own gate.

    `f(x) = sum_i g(x)_i f_i(x)`, `g(x) = softmax(W x)`

    Args:
        expert: A layer or model that is copied, or a list of layers: as for
            `keras_mtl.layers.MMoE`.
        num_experts: How many copies, at least 2. Not needed for a list.
        gate: A layer from the gate's input to one weight per expert, which is
            copied: as for `MMoE`. Defaults to `None`: the softmax of a linear
            map.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: Input of all experts, a tensor `[batch, ...]`.
        gate_inputs: Input of the gate. Defaults to `inputs`.
        training: Passed on to experts and gate.

    Output shape:
        That of one expert, of which the gate's weights must have the first
        axes, as in `MMoE`.

    Masks go to the experts and, where the outputs still have the axes of the
    mask, to the outputs.

    Raises:
        ValueError: If `expert`, `num_experts` and `gate` do not go together,
            or, when built, the outputs of experts and gate do not.

    Example:

    ```python
    layer = keras_mtl.layers.MixtureOfExperts(
        keras.layers.Dense(16, activation="relu"), num_experts=4
    )
    layer(keras.ops.ones((2, 8))).shape  # (2, 16)
    ```

    References:
        Jacobs et al., Adaptive Mixtures of Local Experts, Neural Computation
        3, 1991; Ma et al., Modeling Task Relationships in Multi-task Learning
        with Multi-gate Mixture-of-Experts, KDD 2018, section 4.1.
    """

    def __init__(
        self,
        expert: keras.layers.Layer | Sequence[keras.layers.Layer],
        num_experts: int | None = None,
        gate: keras.layers.Layer | None = None,
        **kwargs: Any,
    ):
        super().__init__(gate=gate, **kwargs)
        self.set_experts(expert, num_experts, [""])

    def call(
        self, inputs: Any, gate_inputs: Any = None, training: bool | None = None
    ) -> Any:
        return self.run(inputs, gate_inputs, training)[""]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.mask_of_outputs(previous_mask)
