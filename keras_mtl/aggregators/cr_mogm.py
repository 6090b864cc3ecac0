"""Any weights of the rows, smoothed over the steps."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.aggregators.wrapping import WrappingAggregator
from keras_mtl.arguments import as_list
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_number
from keras_mtl.arguments import checked_vector
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.CRMOGM")
class CRMOGM(WrappingAggregator, GramianAggregator):
    """Moving average of the weights that another method finds.

    Weights of a single batch are noisy, and correlated with the gradients
    that they multiply, so that stochastic methods need not converge; smoothed
    weights do. Use it around a method whose weights jump from batch to batch,
    such as MGDA or UPGrad.

    `w = alpha w' + (1 - alpha) w^`, `d = J^T w`

    with the weights `w^` of the wrapped method and the smoothed ones `w'` of
    the step before; in the first step, `w' = w^`. A task that is absent keeps
    its smoothed weight, and does not contribute; its first step is the first
    one it is present in.

    Args:
        aggregator: The method to smooth, a
            `keras_mtl.aggregators.GramianAggregator`, its name or config.
        alpha: Weight of the past, in [0, 1]. With 0 nothing is smoothed, with
            1 the first weights stay. Defaults to `0.9`.
        initial_weights: Optional sequence of finite numbers, one per task, to
            start from instead of the first weights. Defaults to `None`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `aggregator` is not a `GramianAggregator` for a single
            sample, `alpha` is not in [0, 1], or `initial_weights` not as
            above, or, when called, not as long as there are tasks.

    State:
        The smoothed weights `[K]`, and the number `[K]` of steps of each
        task. The state of the wrapped method.

    Example:

    ```python
    mgda = keras_mtl.aggregators.MGDA()
    smooth = keras_mtl.aggregators.CRMOGM(mgda, alpha=0.5)
    smooth([[1.0, 0.0], [0.0, 2.0]])  # [0.8, 0.4], as MGDA
    smooth([[2.0, 0.0], [0.0, 1.0]])  # [1.0, 0.5]: weights 0.5, 0.5
    ```

    References:
        Zhou et al., On the Convergence of Stochastic Multi-Objective Gradient
        Manipulation and Beyond, NeurIPS 2022, algorithm 1. The paper lets
        alpha rise as the learning rate falls; it is constant here. The start
        from the first weights is a convention of TorchJD.
    """

    def __init__(
        self,
        aggregator: GramianAggregator | str | dict,
        alpha: float = 0.9,
        initial_weights: Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(aggregator, **kwargs)
        self.alpha = checked_number("alpha", alpha, "[0, 1]")
        self.initial_weights = checked_vector(
            "initial_weights", initial_weights
        )
        self.averages: Any = None
        self.steps: Any = None

    def _check_inner(self, aggregator: Any) -> None:
        if (
            not isinstance(aggregator, GramianAggregator)
            or aggregator.samples > 1
        ):
            raise ValueError(
                "Argument `aggregator` must be a `GramianAggregator` that "
                "works on one sample per step. Received: aggregator="
                f"{aggregator}"
            )

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        if not self.aggregator.built:
            self.aggregator.build(shapes, dtype)
        num_tasks = shapes[0][0]
        check_size("initial_weights", self.initial_weights, num_tasks)
        self.averages = self.add_state(
            "averages", (num_tasks,), dtype, value=self.initial_weights or 0
        )
        self.steps = self.add_state("steps", (num_tasks,), dtype)

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        gramian, mask = self.prepare(gramian, mask)
        new = self.aggregator.compute_weights(gramian, losses, mask)
        old = ops.convert_to_tensor(self.averages)
        old_steps = ops.convert_to_tensor(self.steps)
        new = ops.cast(new, old.dtype)
        average = self.alpha * old + (1.0 - self.alpha) * new
        if self.initial_weights is None:
            average = ops.where(old_steps > 0, average, new)
        steps = old_steps + 1
        weights = average
        if mask is not None:
            present = mask > 0
            weights = ops.where(present, average, 0.0)
            average = ops.where(present, average, old)
            steps = ops.where(present, steps, old_steps)
        self.averages.assign(average)
        self.steps.assign(steps)
        return ops.cast(weights, gramian.dtype)

    def observe(
        self, losses: Tensor, new_losses: Tensor, mask: Tensor | None = None
    ) -> None:
        self.aggregator.observe(losses, new_losses, mask)

    def state_reset(self) -> None:
        super().state_reset()
        self.aggregator.state_reset()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "initial_weights": as_list(self.initial_weights),
        }
