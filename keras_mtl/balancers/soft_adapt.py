"""Weights from the rates at which losses change."""

import math
from collections.abc import Iterable
from typing import Any

from keras import ops

from keras_mtl.arguments import checked_choice
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.balancers.masked import SMALLEST_LOSS
from keras_mtl.balancers.masked import at_least
from keras_mtl.balancers.masked import masked_softmax
from keras_mtl.balancers.masked import presence
from keras_mtl.balancers.periods import PeriodicBalancer
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

VARIANTS = ("plain", "loss_weighted", "normalized")


@keras_mtl_export("keras_mtl.balancers.SoftAdapt")
class SoftAdapt(PeriodicBalancer):
    """Gives more weight to losses that fall slowly or rise.

    As `DWA`, but with differences of losses in place of quotients, and by
    default from step to step. Made for the parts of one loss, of one scale;
    for losses of different units take `variant="normalized"`, or `DWA`. From
    noisy batches, compare averages: `steps_per_epoch=100`, say.

    With `s_k` the slope of loss `k` over its last `history` values, by the
    backward finite difference of the highest order:

    - `"plain"`: `w = softmax(beta s)`;
    - `"loss_weighted"`: `w_k` in proportion to `f_k exp(beta s_k)`, with
      `f_k` the mean of the last `history` values;
    - `"normalized"`: `w = softmax(beta s / sum_j |s_j|)`.

    The weights add up to 1, over the tasks that are present.

    Args:
        beta: How much slopes matter. If negative, losses that fall fast get
            more weight. Defaults to `0.1`.
        variant: `"plain"`, `"loss_weighted"` or `"normalized"`. Defaults to
            `"plain"`.
        history: Number of values, 2 to 10. With 2, the slope is the
            difference of the last two; with more, it is the better for smooth
            curves, and the worse for noisy ones. Defaults to `5`.
        steps_per_epoch: Number of steps of which the average loss is a value,
            or `None`: those until `end_epoch()` is called, as `fit` does at
            the end of each epoch. Defaults to `1`: each step gives a value,
            and the weights of a step include it.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.

    Raises:
        ValueError: If an argument is out of range.

    State:
        For each task its last `history` values, newest first, and how many
        there are, and the sum and number of the losses since the last one.
        With fewer values the slope is of a lower order, with one or none it
        is 0, and `f_k` is the current loss if there is none. Where a task is
        absent, its history does not move.

    Example:

    ```python
    soft_adapt = keras_mtl.balancers.SoftAdapt(beta=1.0, history=2)
    soft_adapt([1.0, 2.0])  # [0.5, 0.5]
    soft_adapt([1.0, 1.0])  # about [0.7311, 0.2689]
    ```

    References:
        Heydari, Thompson and Mehmood, SoftAdapt: Techniques for Adaptive Loss
        Weighting of Neural Networks with Multi-Part Loss Functions, 2019,
        [arXiv:1912.12355](https://arxiv.org/abs/1912.12355). The package
        `softadapt` takes the slope at the oldest of the values, here it is
        that at the newest; and it divides by the sum of the slopes, which may
        be zero or negative, where this divides by that of their absolute
        values, as the authors' first code does.
    """

    def __init__(
        self,
        beta: float = 0.1,
        variant: str = "plain",
        history: int = 5,
        steps_per_epoch: int | None = 1,
        **kwargs: Any,
    ):
        super().__init__(steps_per_epoch, **kwargs)
        self.beta = checked_number("beta", beta, "(-inf, inf)")
        self.variant = checked_choice("variant", variant, VARIANTS)
        if checked_integer("history", history, 2) > 10:
            raise ValueError(
                "Argument `history` must be an integer from 2 to 10. "
                f"Received: history={history}"
            )
        self.history = history
        self.coefficients = difference_table(history)

    def lowest_losses(self, dtype: str) -> float | None:
        return 0.0 if self.variant == "loss_weighted" else None

    def build_history(self, num_tasks: int, dtype: str) -> None:
        self.points = self.add_state("points", (self.history, num_tasks), dtype)
        self.num_points = self.add_state("num_points", (num_tasks,), "int32")

    def record(
        self, averages: Tensor, seen: Tensor
    ) -> Iterable[tuple[Variable, Tensor]]:
        points = ops.convert_to_tensor(self.points)
        moved = ops.concatenate([averages[None, :], points[:-1]], axis=0)
        num_points = ops.convert_to_tensor(self.num_points)
        return [
            (self.points, ops.where(seen, moved, points)),
            (
                self.num_points,
                ops.where(
                    seen,
                    ops.minimum(num_points + 1, self.history),
                    num_points,
                ),
            ),
        ]

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        self.take_note(losses, mask)
        points = ops.convert_to_tensor(self.points)
        own_losses = ops.cast(losses, points.dtype)
        present = presence(own_losses, mask)
        num_points = ops.convert_to_tensor(self.num_points)
        # No `ops.one_hot`: on torch it may wait for the device.
        places = ops.arange(self.history + 1, dtype=num_points.dtype)
        lengths = ops.cast(ops.equal(num_points[:, None], places), points.dtype)
        table = ops.convert_to_tensor(self.coefficients, dtype=points.dtype)
        # A sum of products: `matmul` of float64 is float32 on one backend.
        coefficients = ops.sum(lengths[:, :, None] * table[None], axis=1)
        slopes = ops.sum(ops.transpose(coefficients) * points, axis=0)
        slopes = slopes * present
        if self.variant == "normalized":
            total = ops.sum(ops.absolute(slopes))
            slopes = slopes / ops.where(total > 0, total, 1.0)
        scores = self.beta * slopes
        if self.variant == "loss_weighted":
            counts = ops.cast(num_points, points.dtype)
            means = ops.where(
                counts > 0,
                ops.sum(points, axis=0) / at_least(counts, 1.0),
                own_losses,
            )
            scores = scores + ops.log(at_least(means, SMALLEST_LOSS))
        return ops.cast(masked_softmax(scores, present), losses.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta": self.beta,
            "variant": self.variant,
            "history": self.history,
        }


def difference_table(history: int) -> tuple[tuple[float, ...], ...]:
    """Returns coefficients of backward finite differences.

    Args:
        history: Largest number of values.

    Returns:
        `history + 1` rows of `history` numbers: row `n` gives the slope at
        the newest of `n` values, newest first, exact for polynomials of
        degree `n - 1`. Rows 0 and 1 are zeros.
    """
    table = [[0.0] * history for _ in range(history + 1)]
    for size in range(2, history + 1):
        # Sum of the backward differences of orders 1 to n - 1, each divided
        # by its order.
        for order in range(1, size):
            for place in range(order + 1):
                share = math.comb(order, place) / order
                table[size][place] += (-1) ** place * share
    # Tuples: Keras wraps lists, which `torch.compile` does not take.
    return tuple(tuple(row) for row in table)
