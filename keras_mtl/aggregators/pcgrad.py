"""Projecting conflicting gradients."""

from typing import Any

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.arguments import checked_choice
from keras_mtl.export import keras_mtl_export
from keras_mtl.seeded import next_seed
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.random_numbers import random_orders
from keras_mtl.solvers.symmetric import present_tasks
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

REDUCTIONS = ("sum", "mean")


@keras_mtl_export("keras_mtl.aggregators.PCGrad")
class PCGrad(GramianAggregator):
    """Gradients with the conflicting part of the others projected out.

    Each task gradient visits the others in random order; where it has a
    negative inner product with one, its component along that one is removed.
    The results are added up. Simple and cheap; it ignores how strong a
    conflict is, and does nothing where there is none.

    For each task `i`: `v = g_i`; for `j != i` in random order, if
    `<v, g_j> < 0`: `v = v - <v, g_j> / ||g_j||^2 g_j`. The update is the sum
    of all `v`.

    The visiting orders come from a hash of the seed and a counter: the same
    on every backend. With one or two tasks there is nothing to draw.

    Args:
        reduction: `"sum"` or `"mean"` over the tasks that are present.
            Defaults to `"sum"`.
        seed: Optional integer, to draw the same orders in every run. Defaults
            to `None`, a random seed.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `reduction` is not one of these, or `seed` not an
            integer.

    State:
        The seed and the number of calls, in a `keras.random.SeedGenerator`.

    Example:

    ```python
    pcgrad = keras_mtl.aggregators.PCGrad()
    pcgrad([[1.0, 0.0], [-1.0, 1.0]])  # [0.5, 1.5]
    ```

    References:
        Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020,
        algorithm 1, [arXiv:2001.06782](https://arxiv.org/abs/2001.06782). The
        authors' code averages for shared parameters; the paper's algorithm
        sums. Most published code also lets a task visit itself.
    """

    def __init__(
        self, reduction: str = "sum", seed: int | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.reduction = checked_choice("reduction", reduction, REDUCTIONS)
        self.add_seed(seed)

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        num_tasks = gramian.shape[0]
        seed = next_seed(self.seed_generator) if num_tasks > 2 else None

        def solve(
            xp: Namespace, gramian: Tensor, mask: Tensor | None, seed: Tensor
        ) -> Tensor:
            if seed is None:
                places = xp.arange(num_tasks, dtype="int32")
                orders = xp.stack([places] * num_tasks)
            else:
                orders = random_orders(xp, seed, num_tasks)
            return _project(xp, gramian, orders, mask, self.reduction)

        return run(solve, gramian, mask, seed)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "reduction": self.reduction,
            "seed": self.seed,
        }


def projection_weights(
    gramian: Tensor,
    orders: Any,
    mask: Tensor | None = None,
    reduction: str = "sum",
    visit_self: bool = False,
) -> Tensor:
    """Returns the weights of the rows for given visiting orders.

    Args:
        gramian: Tensor `[K, K]`.
        orders: Integer tensor `[K, K]`: row `i` holds the tasks in the order
            in which task `i` visits them.
        mask: Optional tensor `[K]`, positive for present tasks. Defaults to
            `None`, all present.
        reduction: `"sum"` or `"mean"`. Defaults to `"sum"`.
        visit_self: Whether a task projects onto its own gradient too when its
            index comes up. The paper says no; most published code does, which
            makes a difference where others have turned `v` against `g_i`
            before. Defaults to `False`.

    Returns:
        Tensor `[K]`.
    """

    def solve(
        xp: Namespace, gramian: Tensor, orders: Tensor, mask: Tensor | None
    ) -> Tensor:
        return _project(xp, gramian, orders, mask, reduction, visit_self)

    return run(solve, gramian, orders, mask)


def _project(
    xp: Namespace,
    gramian: Tensor,
    orders: Tensor,
    mask: Tensor | None,
    reduction: str,
    visit_self: bool = False,
) -> Tensor:
    num_tasks = gramian.shape[0]
    norms, cosines, active = unit_gramian(xp, gramian, mask)
    present = xp.cast(present_tasks(xp, gramian, mask), gramian.dtype)
    inside = xp.cast(active, gramian.dtype)
    identity = xp.eye(num_tasks, dtype=gramian.dtype)
    # Coefficients of the unit rows: all tasks take each step at once.
    visits = xp.one_hot(orders, num_tasks, dtype=gramian.dtype)
    if not visit_self:
        visits = visits * (1.0 - identity)[:, None, :]
    visits = visits * inside
    start = identity * norms * inside
    coefficients = start
    for place in range(num_tasks):
        visited = visits[:, place]
        inner = xp.sum(coefficients * xp.matmul(visited, cosines), axis=1)
        conflict = xp.minimum(inner, 0.0)
        coefficients = coefficients - conflict[:, None] * visited
    projections = xp.sum(coefficients - start, axis=0)
    # Added to the exact 1 of each row, which a norm too small to square keeps.
    weights = present + xp.where(
        active, projections / norms, xp.zeros_like(norms)
    )
    if reduction == "mean":
        weights = weights / xp.maximum(xp.sum(present), 1.0)
    return weights
