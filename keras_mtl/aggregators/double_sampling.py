"""Weights learned from products of gradients of independent samples."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.aggregators.task_weights import keep_absent
from keras_mtl.arguments import checked_choice
from keras_mtl.gradients.jacobian import Jacobian
from keras_mtl.solvers.namespace import run
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


class DoubleSamplingAggregator(Aggregator):
    """Base class of methods that step their weights along `J_1 J_2^T w`.

    With the Jacobians of two independent samples the step is unbiased, which
    it is not with the Gramian of one. A third one takes the update, so that
    the weights do not depend on it. With two, each takes half of it; with
    one, the sample serves as all three.

    Subclasses implement `step_weights(xp, product, weights, mask)`.

    Args:
        samples: Number of parts that a batch is split into.
        choices: The numbers of parts that the method is defined for.
        **kwargs: Passed on to `keras.layers.Layer`.

    State:
        `task_weights`, one per task; 1 at first.
    """

    def __init__(self, samples: int, choices: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.samples = checked_choice("samples", samples, choices)
        self.task_weights: Any = None

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        # Of any sum: used relative to each other.
        self.task_weights = self.add_state(
            "task_weights", shapes[0][:1], dtype, value=1
        )

    def step_weights(
        self, xp: Namespace, product: Tensor, weights: Tensor, mask: Tensor
    ) -> None:
        """Returns the weights after a step.

        Args:
            xp: Namespace of array functions.
            product: Tensor `[K, K]`, the inner products of two samples' task
                gradients.
            weights: Tensor `[K]` of weights before, of any sum.
            mask: Tensor `[K]`, 1 for present tasks, 0 for absent.

        Returns:
            Tensor `[K]` of weights with sum 1 over present tasks.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not implement `step_weights`."
        )

    def row_weights(self, weights: Tensor, present: Tensor) -> Tensor:
        """Returns what rows are multiplied with: the weights after a step."""
        return weights

    def aggregate(
        self,
        jacobian: Jacobian,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        if not jacobian.num_variables:
            return []
        return jacobian.combine(self._update_weights(jacobian.gramian(), mask))

    def aggregate_samples(
        self,
        jacobians: Sequence[Jacobian],
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        self.check_samples(jacobians)
        if self.samples == 1:
            return self.aggregate(jacobians[0], losses, mask)
        if not jacobians[0].num_variables:
            return []
        product = jacobians[0].cross_gramian(jacobians[1])
        weights = self._update_weights(product, mask)
        if self.samples == 3:
            return jacobians[2].combine(weights)
        halves = [jacobian.combine(weights / 2.0) for jacobian in jacobians]
        return [a + b for a, b in zip(*halves, strict=True)]

    def _update_weights(self, product: Tensor, mask: Tensor | None) -> Tensor:
        previous = ops.convert_to_tensor(self.task_weights)
        present = presence(previous.shape[0], mask, previous.dtype)
        weights = run(self.step_weights, product, previous, present)
        self.task_weights.assign(
            keep_absent(present, ops.cast(weights, previous.dtype), previous)
        )
        return self.row_weights(weights, ops.cast(present, weights.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "samples": self.samples}
