"""Smooth Tchebycheff scalarisation."""

from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.arguments import as_list
from keras_mtl.arguments import check_size
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.arguments import checked_preference
from keras_mtl.arguments import checked_vector
from keras_mtl.balancers.masked import count_present
from keras_mtl.balancers.masked import masked_softmax
from keras_mtl.balancers.masked import positive_losses
from keras_mtl.balancers.masked import presence
from keras_mtl.balancers.periods import PeriodicBalancer
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor
from keras_mtl.typing import Variable


@keras_mtl_export("keras_mtl.balancers.STCH")
class STCH(PeriodicBalancer):
    """Smooth maximum of the losses: the worst task gets most of the weight.

    Prefer it where no task may be left behind, and where a trade-off given by
    `weights` is to be met, also one that no weighted sum of losses reaches.
    The smaller `mu`, the closer to the plain maximum. Losses of different
    units need `weights`, or `warmup_epochs`.

    Without `warmup_epochs`:

    `S = mu log sum_k exp(lambda_k (loss_k - z_k) / mu)`

    `w = lambda p` with `p` the softmax of `lambda (loss - z) / mu`.

    With `warmup_epochs`, losses are compared to what they were at the end of
    the warm-up, their nadir `N_k`, on a logarithmic scale:

    `S = K mu log sum_k exp(lambda_k log(loss_k / N_k) / mu)`

    `w_k = K lambda_k p_k / loss_k`, and `lambda_k / loss_k` in the warm-up.

    Sums and `K` are over the tasks that are present.

    Args:
        mu: Positive number, the smoothing. Defaults to `1.0`.
        weights: One non-negative number `lambda_k` per task, not all 0.
            Defaults to `None`: 1/K each, with `warmup_epochs` 1 each.
        reference: One number `z_k` per task, the best possible losses.
            Not with `warmup_epochs`. Defaults to `None`, zeros.
        warmup_epochs: Number of epochs, at least 1, with the sum of the
            logarithms of the losses. The nadir of a task is its average loss
            in the last of them. Defaults to `None`: no warm-up and no
            logarithm.
        steps_per_epoch: Number of steps that count as an epoch, or `None`:
            an epoch ends when `end_epoch()` is called. `fit` does that; a
            training loop of your own must, or the warm-up never ends. Only
            with `warmup_epochs`. Defaults to `None`.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.

    Raises:
        ValueError: If an argument is out of range, if arguments do not go
            together, or if `weights` or `reference` do not have one entry
            per task.

    State:
        None without `warmup_epochs`. With it, for each task the sum and
        number of its losses in this epoch and its nadir, and the number of
        epochs. A task that was absent throughout an epoch of the warm-up
        keeps its nadir; one that was absent throughout the warm-up gets it
        in the first epoch with that task, and until then its current loss
        stands in for it.

    Example:

    ```python
    stch = keras_mtl.balancers.STCH(mu=0.1, weights=[1.0, 1.0])
    stch([0.5, 0.5])  # [0.5, 0.5]
    stch([0.5, 0.7])  # about [0.1192, 0.8808]
    ```

    References:
        Lin et al., Smooth Tchebycheff Scalarization for Multi-Objective
        Optimization, ICML 2024,
        [arXiv:2402.19078](https://arxiv.org/abs/2402.19078). TorchJD has the
        first form, LibMTL the second, where `STCH_warmup_epoch=n` means
        `warmup_epochs=n + 1` here.
    """

    def __init__(
        self,
        mu: float = 1.0,
        weights: Sequence[float] | None = None,
        reference: Sequence[float] | None = None,
        warmup_epochs: int | None = None,
        steps_per_epoch: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(steps_per_epoch, **kwargs)
        self.mu = checked_number("mu", mu, "(0, inf)")
        self.task_weights = checked_preference("weights", weights)
        self.reference = checked_vector("reference", reference)
        if warmup_epochs is not None:
            checked_integer("warmup_epochs", warmup_epochs)
            if reference is not None:
                raise ValueError(
                    "Argument `reference` cannot be combined with "
                    "`warmup_epochs`. Received: "
                    f"reference={reference}, warmup_epochs={warmup_epochs}"
                )
        elif steps_per_epoch is not None:
            raise ValueError(
                "Argument `steps_per_epoch` needs `warmup_epochs`. Received: "
                f"steps_per_epoch={steps_per_epoch}, warmup_epochs=None"
            )
        self.warmup_epochs = warmup_epochs

    @property
    def keeps_history(self) -> bool:
        return self.warmup_epochs is not None

    def lowest_losses(self, dtype: str) -> float | None:
        return 0.0 if self.keeps_history else None

    def build_state(self, num_tasks: int, dtype: str) -> None:
        check_size("weights", self.task_weights, num_tasks)
        check_size("reference", self.reference, num_tasks)
        super().build_state(num_tasks, dtype)

    def build_history(self, num_tasks: int, dtype: str) -> None:
        self.nadir = self.add_state("nadir", (num_tasks,), dtype)
        self.epochs = self.add_state("epochs", dtype="int32")

    def record(
        self, averages: Tensor, seen: Tensor
    ) -> Iterable[tuple[Variable, Tensor]]:
        nadir = ops.convert_to_tensor(self.nadir)
        epochs = ops.convert_to_tensor(self.epochs) + 1
        wanted = ops.logical_or(epochs <= self.warmup_epochs, nadir <= 0)
        update = ops.logical_and(seen, wanted)
        # No need to count on, until the integer overflows.
        epochs = ops.minimum(epochs, self.warmup_epochs)
        return [
            (self.nadir, ops.where(update, averages, nadir)),
            (self.epochs, epochs),
        ]

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        present = presence(losses, mask)
        if self.keeps_history:
            return self._relative_weights(losses, present, mask)
        if self.task_weights is None:
            preference = present / count_present(present)
        else:
            preference = ops.convert_to_tensor(
                self.task_weights, dtype=losses.dtype
            )
        distances = losses
        if self.reference is not None:
            distances = losses - ops.convert_to_tensor(
                self.reference, dtype=losses.dtype
            )
        return preference * masked_softmax(
            preference * distances, present, self.mu
        )

    def _relative_weights(
        self, losses: Tensor, present: Tensor, mask: Tensor | None
    ) -> Tensor:
        nadir = ops.cast(ops.convert_to_tensor(self.nadir), losses.dtype)
        positive = positive_losses(losses, present)
        nadir = ops.where(nadir > 0, positive_losses(nadir, present), positive)
        scores = ops.log(positive) - ops.log(nadir)
        slopes = 1.0 / positive
        if self.task_weights is not None:
            preference = ops.convert_to_tensor(
                self.task_weights, dtype=losses.dtype
            )
            scores, slopes = preference * scores, preference * slopes
        shares = masked_softmax(scores, present, self.mu)
        weights = ops.where(
            ops.convert_to_tensor(self.epochs) < self.warmup_epochs,
            slopes,
            count_present(present) * shares * slopes,
        )
        # After the weights, which know nothing of this step.
        self.take_note(losses, mask)
        return weights

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mu": self.mu,
            "weights": as_list(self.task_weights),
            "reference": as_list(self.reference),
            "warmup_epochs": self.warmup_epochs,
        }
