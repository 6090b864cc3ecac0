"""Multi-gate mixture of experts."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.export import keras_mtl_export
from keras_mtl.layers.expert_list import ExpertList
from keras_mtl.layers.task_names import checked_tasks
from keras_mtl.layers.tasks_in_order import TasksInOrder


@keras_mtl_export("keras_mtl.layers.MMoE")
class MMoE(TasksInOrder, ExpertList):
    """Experts that all tasks share, and a gate for each task.

    Each task chooses its own mix of the same experts, by the input. Tasks that
    have little in common can keep to different experts, where hard sharing
    would make them compete. The usual first choice for tasks over tabular
    inputs, as in recommendation.

    `f_k(x) = sum_i g_k(x)_i f_i(x)`, `g_k(x) = softmax(W_k x)`

    Experts are shared variables; a gate belongs to its task alone.

    Args:
        tasks: Names of the tasks.
        expert: A layer or model, of which `num_experts` copies are made (new
            weights, and other seeds where the template fixes seeds), or a
            list of different layers, which are used themselves. All must give
            outputs of one shape. Their dtype policy is their own.
        num_experts: How many copies, at least 2. Not needed for a list.
        gate: A layer from the gate's input to one weight per expert, copied
            for each task, e.g. `keras_mtl.layers.DSelectK(k=2)`. A
            `num_experts=None` in its config is filled in. Defaults to `None`:
            `keras.layers.Dense(num_experts, activation="softmax",
            use_bias=False)`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: Input of all experts, a tensor `[batch, ...]`.
        gate_inputs: Input of all gates. Defaults to `inputs`.
        training: Passed on to experts and gates.

    Output shape:
        A dict by task, with the shape of one expert's output. The gates'
        weights `[batch, ..., num_experts]` have its first axes: with experts
        `[batch, time, features]` and the default gate, each time step is
        weighed apart.

    Masks go to the experts and, where the outputs still have the axes of the
    mask, to the outputs.

    Raises:
        ValueError: If `tasks`, `expert`, `num_experts` or `gate` are not as
            described, or, when built, the outputs of experts and gates do not
            go together.

    Example:

    ```python
    inputs = keras.Input((8,))
    features = keras_mtl.layers.MMoE(
        ["click", "buy"],
        expert=keras.layers.Dense(16, activation="relu"),
        num_experts=4,
    )(inputs)
    outputs = {
        task: keras.layers.Dense(1, activation="sigmoid")(features[task])
        for task in ("click", "buy")
    }
    model = keras_mtl.MultiTaskModel(inputs, outputs)
    ```

    References:
        Ma et al., Modeling Task Relationships in Multi-task Learning with
        Multi-gate Mixture-of-Experts, KDD 2018, section 4.2,
        [doi:10.1145/3219819.3220007](https://doi.org/10.1145/3219819.3220007).
    """

    def __init__(
        self,
        tasks: Sequence[str],
        expert: keras.layers.Layer | Sequence[keras.layers.Layer],
        num_experts: int | None = None,
        gate: keras.layers.Layer | None = None,
        **kwargs: Any,
    ):
        super().__init__(gate=gate, **kwargs)
        self.tasks = checked_tasks(tasks)
        self.set_experts(expert, num_experts, self.tasks)

    def call(
        self, inputs: Any, gate_inputs: Any = None, training: bool | None = None
    ) -> dict[str, Any]:
        return self.run(inputs, gate_inputs, training)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return dict.fromkeys(self.tasks, self.mask_of_outputs(previous_mask))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tasks": list(self.tasks)}
