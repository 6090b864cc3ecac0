"""Progressive layered extraction: levels of experts."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.arguments import MOST_PARTS
from keras_mtl.arguments import checked_integer
from keras_mtl.export import keras_mtl_export
from keras_mtl.layers.cgc import CGC
from keras_mtl.layers.copies import Template
from keras_mtl.layers.copies import with_templates
from keras_mtl.layers.own_and_shared_experts import SHARED
from keras_mtl.layers.own_and_shared_experts import OwnAndSharedExperts


@keras_mtl_export("keras_mtl.layers.PLE")
class PLE(OwnAndSharedExperts):
    """Levels of own and shared experts, which part tasks step by step.

    Several `keras_mtl.layers.CGC` one after the other. In all levels but the
    last, a further gate mixes the experts of all tasks into the input of the
    next level's shared experts: so they learn from all tasks, while a task's
    own way has nothing of other tasks but through them. Of the expert family
    the deepest, and the one to take where `CGC` alone still has tasks that
    gain at the cost of others.

    `f_k^j = sum_i g_k^j(f_k^(j-1))_i S_k^j,i`, where `S_k^j` lists the outputs
    of the level's experts of task k, for `f_k^(j-1)`, and of its shared
    experts, for `f_s^(j-1)`; `f_s^j` mixes all experts of the level, and
    `f_k^0 = f_s^0 = x`

    A task's gates and its experts of the last level belong to it alone. Its
    experts of earlier levels reach the other tasks through the shared ones.

    Args:
        tasks: Names of the tasks; none may be `"shared"`.
        expert: A layer or model, of which all experts are copies: new
            weights, and other seeds where the template fixes seeds. Or a
            list of such templates, one for each level.
        num_levels: How many levels, at least 1. Defaults to `2`.
        num_task_experts: How many experts each task has in each level, at
            least 1: an integer, or a dict by task. Defaults to `1`.
        num_shared_experts: How many shared experts each level has, at least
            1. Defaults to `1`.
        gate: A layer from a gate's input to one weight per expert, copied for
            each gate. Gates differ in the number of their experts, so it
            needs `num_experts=None` in its config, as
            `keras_mtl.layers.DSelectK(k=2)` has. Defaults to `None`:
            `keras.layers.Dense(num_experts, activation="softmax",
            use_bias=False)`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: A tensor `[batch, ...]`.
        training: Passed on to experts and gates.

    Output shape:
        A dict by task, with the shape of the output of one expert of the last
        level.

    Masks go through all levels as far as the outputs have their axes.

    Raises:
        ValueError: If an argument is not as described, or, when built, the
            outputs of experts and gates do not go together.

    Example:

    ```python
    layer = keras_mtl.layers.PLE(
        ["click", "buy"],
        expert=[
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(16, activation="relu"),
        ],
        num_task_experts=2,
        num_shared_experts=2,
    )
    sorted(layer(keras.ops.ones((2, 8))))  # ["buy", "click"]
    ```

    References:
        Tang et al., Progressive Layered Extraction (PLE): A Novel Multi-Task
        Learning (MTL) Model for Personalized Recommendations, RecSys 2020,
        section 4.2,
        [doi:10.1145/3383313.3412236](https://doi.org/10.1145/3383313.3412236).
    """

    def __init__(
        self,
        tasks: Sequence[str],
        expert: keras.layers.Layer | Sequence[keras.layers.Layer],
        num_levels: int = 2,
        num_task_experts: int | Mapping[str, int] = 1,
        num_shared_experts: int = 1,
        gate: keras.layers.Layer | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.set_numbers(tasks, num_task_experts, num_shared_experts)
        self.num_levels = checked_integer(
            "num_levels", num_levels, high=MOST_PARTS
        )
        self._templates = _templates(expert, num_levels)
        self._gate = None if gate is None else Template("gate", gate)
        self.levels = [self._make_level(j) for j in range(num_levels)]

    def _make_level(self, index: int) -> CGC:
        # Copies of copies: with the same template in each level, the seeds of
        # the levels differ.
        name = f"level_{index}"
        gate = None if self._gate is None else self._gate.copy(f"{name}_gate")
        return CGC(
            self.tasks,
            expert=self._templates[index].copy(f"{name}_expert"),
            num_task_experts=self.num_task_experts,
            num_shared_experts=self.num_shared_experts,
            gate=gate,
            shared_gate=index < self.num_levels - 1,
            name=name,
            dtype=self.dtype_policy,
        )

    def build(self, inputs_shape: Any) -> None:
        shape = inputs_shape
        for level in self.levels:
            level.build(shape)
            shape = dict.fromkeys([*self.tasks, SHARED], level.expert_shape)

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        features = inputs
        for level in self.levels:
            features = level(features, training=training)
        return features

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = previous_mask
        for level in self.levels:
            mask = level.compute_mask(None, mask)
        return mask

    def get_config(self) -> dict[str, Any]:
        templates = [template.serialize() for template in self._templates]
        return {
            **super().get_config(),
            "expert": templates,
            "num_levels": self.num_levels,
            "gate": None if self._gate is None else self._gate.serialize(),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Any:
        return cls(**with_templates(config, custom_objects))


def _templates(expert: Any, num_levels: int) -> list[Template]:
    """Returns one template for each level, or raises `ValueError`."""
    if not isinstance(expert, (list, tuple)):
        return [Template("expert", expert)] * num_levels
    if len(expert) != num_levels:
        raise ValueError(
            "Argument `expert`, if a list, must have one layer for each of the "
            f"`num_levels` levels. Received: {len(expert)} layers for "
            f"num_levels={num_levels}"
        )
    return [Template("expert", layer) for layer in expert]
