"""Customized gate control: experts of one's own beside shared ones."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.export import keras_mtl_export
from keras_mtl.layers.copies import Template
from keras_mtl.layers.gated_experts import GatedExperts
from keras_mtl.layers.own_and_shared_experts import SHARED
from keras_mtl.layers.own_and_shared_experts import OwnAndSharedExperts
from keras_mtl.layers.task_names import check_keys


@keras_mtl_export("keras_mtl.layers.CGC")
class CGC(OwnAndSharedExperts, GatedExperts):
    """Experts of each task beside shared ones, and a gate for each task.

    A task mixes its own experts and the shared ones; those of other tasks are
    out of its reach. In `keras_mtl.layers.MMoE` all experts serve all tasks,
    and with tasks that disagree, one gains what another loses (the seesaw);
    here a part of the network is free of such conflicts by construction.

    `f_k(x) = sum_i g_k(x)_i S_k(x)_i`, `g_k(x) = softmax(W_k x)`, where `S_k`
    lists the outputs of the experts of task k, then of the shared experts

    Shared experts are shared variables; the other experts and the gates belong
    to their task alone.

    Args:
        tasks: Names of the tasks; none may be `"shared"`.
        expert: A layer or model, of which all experts are copies: new
            weights, and other seeds where the template fixes seeds.
        num_task_experts: How many experts each task has, at least 1: an
            integer, or a dict by task. Defaults to `1`.
        num_shared_experts: How many shared experts there are, at least 1.
            Defaults to `1`.
        gate: A layer from the gate's input to one weight per expert, copied
            for each task, e.g. `keras_mtl.layers.DSelectK(k=2)`. A
            `num_experts=None` in its config is filled in. Defaults to `None`:
            `keras.layers.Dense(num_experts, activation="softmax",
            use_bias=False)`.
        shared_gate: Whether to add an output `"shared"`, in which a further
            gate mixes all experts: of all tasks in order, then the shared
            ones. It is the input of the shared experts of a next layer.
            Defaults to `False`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: A tensor `[batch, ...]` for all, or a dict of tensors by task
            with another for `"shared"`: inputs of the experts and gates of
            the task, and of the shared ones.
        training: Passed on to experts and gates.

    Output shape:
        A dict by task (and `"shared"`), with the shape of one expert's
        output, of which the gates' weights must have the first axes.

    Masks go to the experts and, where the outputs still have the axes of the
    mask, to the outputs.

    Raises:
        ValueError: If an argument is not as described, or, when built, the
            outputs of experts and gates do not go together.

    Example:

    ```python
    layer = keras_mtl.layers.CGC(
        ["click", "buy"],
        expert=keras.layers.Dense(16, activation="relu"),
        num_task_experts=2,
        num_shared_experts=3,
    )
    layer(keras.ops.ones((2, 8)))["buy"].shape  # (2, 16)
    ```

    References:
        Tang et al., Progressive Layered Extraction (PLE): A Novel Multi-Task
        Learning (MTL) Model for Personalized Recommendations, RecSys 2020,
        section 4.1,
        [doi:10.1145/3383313.3412236](https://doi.org/10.1145/3383313.3412236).
    """

    def __init__(
        self,
        tasks: Sequence[str],
        expert: keras.layers.Layer,
        num_task_experts: int | Mapping[str, int] = 1,
        num_shared_experts: int = 1,
        gate: keras.layers.Layer | None = None,
        shared_gate: bool = False,
        **kwargs: Any,
    ):
        super().__init__(gate=gate, **kwargs)
        self.set_numbers(tasks, num_task_experts, num_shared_experts)
        self.shared_gate = bool(shared_gate)
        self._template = Template("expert", expert)
        # For each expert in order, the task it belongs to.
        self._groups = (
            *(
                task
                for task in self.tasks
                for _ in range(self.num_task_experts[task])
            ),
            *[SHARED] * self.num_shared_experts,
        )
        self.set_parts(self._make_experts(), self._make_mixtures())

    def _make_experts(self) -> list[Any]:
        experts = []
        for i, group in enumerate(self._groups):
            place = i - self._groups.index(group)
            experts.append(self._template.copy(f"{group}_expert_{place}"))
        return experts

    def _make_mixtures(self) -> dict[str, list[int]]:
        mixtures = {
            task: [
                i
                for i, group in enumerate(self._groups)
                if group in (task, SHARED)
            ]
            for task in self.tasks
        }
        if self.shared_gate:
            mixtures[SHARED] = list(range(len(self._groups)))
        return mixtures

    def build(self, inputs_shape: Any) -> None:
        shapes = self._by_group(inputs_shape)
        self.build_parts([shapes[group] for group in self._groups], shapes)

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        by_group = self._by_group(inputs)
        outputs = [
            expert(by_group[group], training=training)
            for group, expert in zip(self._groups, self.experts, strict=True)
        ]
        return self.mix(outputs, by_group, training)

    def _by_group(self, values: Any) -> Mapping[str, Any]:
        """Returns a dict by task and `"shared"`."""
        names = [*self.tasks, SHARED]
        if not isinstance(values, Mapping):
            return dict.fromkeys(names, values)
        check_keys("A dict of inputs of CGC", values, names)
        return values

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = self._by_group(previous_mask)
        return {name: self.mask_of_outputs(masks[name]) for name in self.gates}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "expert": self._template.serialize(),
            "shared_gate": self.shared_gate,
        }
