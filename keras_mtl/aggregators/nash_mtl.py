"""Multi-task learning as a bargaining game."""

from typing import Any

from keras import ops

from keras_mtl.aggregators.fairgrad import FairGrad
from keras_mtl.arguments import checked_integer
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.namespace import machine_epsilon
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.NashMTL")
class NashMTL(FairGrad):
    """Update that the tasks would agree on in a bargaining game.

    The Nash bargaining solution: it maximises the product of the tasks'
    gains. The relative gain of a task counts, so the scale of a loss does not
    matter, and no task is ignored.

    `d = J^T w` with `w > 0` and `(J J^T w)_k = 1 / w_k`, scaled down to norm
    `max_norm` if it is longer

    The solution always has norm `sqrt(K)`, however small the gradients are;
    `max_norm` sets the length of the update. For the solver, and for what
    happens where no solution exists, see `keras_mtl.aggregators.FairGrad`
    with `alpha=1`.

    Args:
        max_norm: Largest norm of the update; 0 for no limit. Defaults to
            `1.0`.
        update_every: The weights are computed anew in every so many steps;
            the others use the last ones. The solver takes less time than the
            gradients that it needs, so this is to compare with published
            results rather than to save time. Defaults to `1`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `max_norm` is negative, or `update_every` not a
            positive integer.

    State:
        The last weights `[K]` (1 before the first step), the number of steps,
        and the number of calls whose problem had to be regularised.

    Example:

    ```python
    nash_mtl = keras_mtl.aggregators.NashMTL(max_norm=0)
    nash_mtl([[1.0, 0.0], [0.0, 4.0]])  # [1.0, 1.0]
    ```

    References:
        Navon et al., Multi-Task Learning as a Bargaining Game, ICML 2022,
        claim 3.1, [arXiv:2202.01017](https://arxiv.org/abs/2202.01017). The
        authors' code solves a sequence of convex programs with a loose
        stopping rule; it returns its starting value where that holds at once.
    """

    def __init__(
        self, max_norm: float = 1.0, update_every: int = 1, **kwargs: Any
    ):
        super().__init__(alpha=1.0, **kwargs)
        self.max_norm = checked_number("max_norm", max_norm)
        self.update_every = checked_integer("update_every", update_every)
        self.last_weights: Any = None
        self.steps: Any = None

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        super().build_state(shapes, dtype)
        if self.update_every == 1:
            return
        self.last_weights = self.add_state(
            "last_weights", (shapes[0][0],), dtype, value=1
        )
        self.steps = self.add_state("steps", dtype="int32")

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        gramian, mask = self.prepare(gramian, mask)
        weights = self.solve(gramian, mask)
        if self.last_weights is not None:
            weights = self._last_or(weights, gramian, mask)
        if not self.max_norm:
            return weights
        # By sums and choices: Keras's matrix product, maximum and minimum are
        # float32 on torch.
        gains = ops.sum(gramian * weights[None, :], axis=1)
        square = ops.sum(weights * gains)
        square = ops.where(square > 0, square, 0.0)
        # Where rows nearly cancel, it is known up to their rounding errors.
        total = ops.sum(weights * ops.sqrt(ops.diagonal(gramian)))
        square = square + machine_epsilon(gramian) * ops.square(total)
        norm = ops.sqrt(ops.where(square > 0, square, 1.0))
        factor = self.max_norm / norm
        return weights * ops.where(factor < 1, factor, 1.0)

    def _last_or(
        self, weights: Tensor, gramian: Tensor, mask: Tensor | None
    ) -> Tensor:
        due = ops.equal(self.steps % self.update_every, 0)
        self.steps.assign(ops.add(self.steps, 1))
        last = ops.cast(ops.convert_to_tensor(self.last_weights), weights.dtype)
        if mask is None:
            weights = ops.where(due, weights, last)
            self.last_weights.assign(weights)
            return weights
        present = mask > 0
        renewed = ops.logical_and(due, present)
        last = ops.where(renewed, weights, last)
        self.last_weights.assign(last)
        return ops.where(present, last, ops.zeros_like(last))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["alpha"]
        return {
            **config,
            "max_norm": self.max_norm,
            "update_every": self.update_every,
        }
