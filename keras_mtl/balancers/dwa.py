"""Dynamic weight average."""

from collections.abc import Iterable
from typing import Any

from keras import ops

from keras_mtl.arguments import checked_number
from keras_mtl.balancers.masked import at_least
from keras_mtl.balancers.masked import at_most
from keras_mtl.balancers.masked import count_present
from keras_mtl.balancers.masked import masked_softmax
from keras_mtl.balancers.masked import presence
from keras_mtl.balancers.periods import PeriodicBalancer
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable

#: Average losses below this are taken for it.
SMALLEST_AVERAGE = 1e-30

#: Quotients of average losses above this are taken for it.
LARGEST_RATE = 1e30


@keras_mtl_export("keras_mtl.balancers.DWA")
class DWA(PeriodicBalancer):
    """Gives more weight to tasks whose loss falls more slowly.

    The rate of a task is the quotient of its average losses in the last two
    epochs. The effect is gentle: with a temperature of 2, a task that stands
    still gets 1.28 times the weight of one whose loss has halved. The scales
    of the losses do not matter for the weights, and are not balanced by them.

    `r_k = L_k(t-1) / L_k(t-2)`, `w_k = K exp(r_k / T) / sum_j exp(r_j / T)`

    with `L_k(t)` the average loss of task `k` in epoch `t`, and `K` and the
    sum over the tasks that are present. A task with less than two epochs to
    compare has rate 1; in the first two epochs all weights are 1. Losses must
    be positive.

    Args:
        temperature: Positive number `T`; the larger, the more equal the
            weights. Defaults to `2.0`.
        steps_per_epoch: Number of steps that count as an epoch, or `None`:
            an epoch ends when `end_epoch()` is called. `fit` does that; a
            training loop of your own must, or all weights stay 1. Defaults to
            `None`.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.

    Raises:
        ValueError: If an argument is out of range.

    State:
        For each task the sum and number of its losses in this epoch, the
        averages of its last two epochs and how many of them there are. An
        epoch in which a task was absent throughout does not count for it.
        With `steps_per_epoch`, also the step in the epoch.

    Example:

    ```python
    dwa = keras_mtl.balancers.DWA()
    for losses in ([1.0, 1.0], [1.0, 0.5]):
        dwa(losses)  # [1.0, 1.0]
        dwa.end_epoch()
    dwa([1.0, 0.4])  # about [1.1244, 0.8756]
    ```

    References:
        Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention,
        CVPR 2019, equation 7,
        [arXiv:1803.10704](https://arxiv.org/abs/1803.10704). LibMTL and
        TorchJD compute the same. nash-mtl compares the last two windows of a
        fixed number of steps, this one included, at every step, and divides
        the weights by K.
    """

    def __init__(
        self,
        temperature: float = 2.0,
        steps_per_epoch: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(steps_per_epoch, **kwargs)
        self.temperature = checked_number(
            "temperature", temperature, "(0, inf)"
        )

    def lowest_losses(self, dtype: str) -> float:
        return 0.0

    def build_history(self, num_tasks: int, dtype: str) -> None:
        self.older = self.add_state("older", (num_tasks,), dtype)
        self.newer = self.add_state("newer", (num_tasks,), dtype)
        self.epochs = self.add_state("epochs", (num_tasks,), dtype)

    def record(
        self, averages: Tensor, seen: Tensor
    ) -> Iterable[tuple[Variable, Tensor]]:
        older = ops.convert_to_tensor(self.older)
        newer = ops.convert_to_tensor(self.newer)
        epochs = ops.convert_to_tensor(self.epochs)
        return [
            (self.older, ops.where(seen, newer, older)),
            (self.newer, ops.where(seen, averages, newer)),
            (
                self.epochs,
                ops.where(seen, at_most(epochs + 1.0, 2.0), epochs),
            ),
        ]

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        older = ops.convert_to_tensor(self.older)
        newer = ops.convert_to_tensor(self.newer)
        epochs = ops.convert_to_tensor(self.epochs)
        rates = at_least(newer, SMALLEST_AVERAGE) / at_least(
            older, SMALLEST_AVERAGE
        )
        rates = ops.where(
            ops.equal(epochs, 2.0), at_most(rates, LARGEST_RATE), 1.0
        )
        present = presence(rates, mask)
        weights = masked_softmax(rates, present, self.temperature)
        weights = weights * count_present(present)
        # After the weights, which compare earlier epochs.
        self.take_note(losses, mask)
        return ops.cast(weights, losses.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
