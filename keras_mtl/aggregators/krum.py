"""Krum: the task gradients nearest to most others."""

from typing import Any

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.arguments import checked_integer
from keras_mtl.export import keras_mtl_export
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.symmetric import present_tasks
from keras_mtl.solvers.symmetric import relative_sizes
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.Krum")
class Krum(GramianAggregator):
    """Mean of the task gradients that are nearest to the others.

    Made for rows of which some may be wrong, such as gradients of workers
    that cannot be trusted: outliers are left out altogether. It is of little
    use for balancing tasks.

    The score of a row is the sum of the distances to its `K - b - 2` nearest
    other rows, with `b` rows that may be wrong. The update is the mean of the
    rows of lowest score.

    The number K counts the tasks that are present; each row has at least one
    neighbour if there is one. Rows of the same score are taken in their order,
    and squared distances within rounding error of the norms count as zero.

    Args:
        num_byzantine: Number `b` of rows that may be wrong, at least 0. There
            must be at least `b + 3` rows. Defaults to `0`.
        num_selected: Number of rows to average, at least 1. There must be as
            many. Defaults to `1`.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `num_byzantine` or `num_selected` is not as above, or,
            when called, if there are too few rows.

    Example:

    ```python
    krum = keras_mtl.aggregators.Krum(num_selected=2)
    krum([[1.0], [2.0], [9.0], [3.0]])  # [1.5]
    ```

    References:
        Blanchard et al., Machine Learning with Adversaries: Byzantine
        Tolerant Gradient Descent, NeurIPS 2017, section 4,
        [arXiv:1703.02757](https://arxiv.org/abs/1703.02757). The paper's score
        sums squared distances; distances are the convention of TorchJD.
    """

    def __init__(
        self, num_byzantine: int = 0, num_selected: int = 1, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.num_byzantine = checked_integer("num_byzantine", num_byzantine, 0)
        self.num_selected = checked_integer("num_selected", num_selected)
        self.min_tasks = max(self.num_byzantine + 3, self.num_selected)

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        if gramian.shape[0] < self.min_tasks:
            raise ValueError(
                f"Krum with num_byzantine={self.num_byzantine} and "
                f"num_selected={self.num_selected} needs at least "
                f"{self.min_tasks} rows. Received: {gramian.shape[0]} rows."
            )

        def solve(
            xp: Namespace, gramian: Tensor, mask: Tensor | None
        ) -> Tensor:
            return _nearest(
                xp, gramian, mask, self.num_byzantine, self.num_selected
            )

        return run(solve, gramian, mask)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_byzantine": self.num_byzantine,
            "num_selected": self.num_selected,
        }


def _nearest(
    xp: Namespace,
    gramian: Tensor,
    mask: Tensor | None,
    num_byzantine: int,
    num_selected: int,
) -> Tensor:
    num_tasks = gramian.shape[0]
    present = present_tasks(xp, gramian, mask)
    count = xp.sum(xp.cast(present, "int32"))
    norms, cosines, active = unit_gramian(xp, gramian, mask)
    # In units of the largest norm. A zero row is a row like others.
    sizes = relative_sizes(xp, norms, active)
    squares = xp.square(sizes)[:, None] + xp.square(sizes)[None, :]
    inner = cosines * sizes[:, None] * sizes[None, :]
    distances = squares - 2.0 * inner
    noise = 4.0 * xp.epsilon * squares
    distances = xp.sqrt(
        xp.where(distances > noise, distances, xp.zeros_like(distances))
    )
    places = xp.arange(num_tasks, dtype="int32")
    itself = xp.equal(places[:, None], places[None, :])
    other = xp.logical_and(present[None, :], xp.logical_not(itself))
    # Absent rows and the row itself are farther than any other.
    distances = xp.sort(
        xp.where(other, distances, xp.full_like(distances, 3.0)), axis=-1
    )
    neighbours = xp.maximum(count - num_byzantine - 2, 1)
    neighbours = xp.minimum(neighbours, count - 1)
    near = places[None, :] < neighbours
    scores = xp.sum(
        xp.where(near, distances, xp.zeros_like(distances)), axis=-1
    )
    scores = xp.where(present, scores, xp.full_like(scores, float("inf")))
    before = xp.logical_or(
        scores[None, :] < scores[:, None],
        xp.logical_and(
            xp.equal(scores[None, :], scores[:, None]),
            places[None, :] < places[:, None],
        ),
    )
    ranks = xp.sum(xp.cast(before, "int32"), axis=-1)
    chosen = xp.logical_and(present, ranks < num_selected)
    chosen = xp.cast(chosen, gramian.dtype)
    # The norms are NaN if anything in the Gramian was not finite.
    return chosen / xp.maximum(xp.sum(chosen), 1.0) + 0.0 * norms
