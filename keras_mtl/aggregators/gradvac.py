"""Gradient vaccine: cosines of task gradients raised to their averages."""

from typing import Any

from keras import ops

from keras_mtl.aggregators.aggregator import GramianAggregator
from keras_mtl.arguments import checked_number
from keras_mtl.export import keras_mtl_export
from keras_mtl.seeded import next_seed
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.random_numbers import random_orders
from keras_mtl.solvers.symmetric import present_tasks
from keras_mtl.solvers.symmetric import unit_gramian
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor

#: Squared sines of target cosines are taken for at least this.
SMALLEST_SINE_SQUARE = 1e-6


@keras_mtl_export("keras_mtl.aggregators.GradVac")
class GradVac(GramianAggregator):
    """Sum of task gradients turned towards each other, as far as usual.

    PCGrad acts on conflicts alone; this also acts where two gradients agree
    less than they did on average so far. Prefer it where tasks are related,
    such as languages of one translation model.

    For each task `i`: `v = g_i`; for `j != i` in random order, with the cosine
    `c = <v, g_j> / (||v|| ||g_j||)` and the target `t = t_ij`:

    - if `c < t`: `v = v + ||v|| (t sqrt(1 - c^2) - c sqrt(1 - t^2)) /
      (||g_j|| sqrt(1 - t^2)) g_j`, which gives `v` the cosine `t`;
    - `t_ij = (1 - beta) t_ij + beta c`.

    The update is the sum of all `v`. The targets start from 0, so that the
    first update is that of PCGrad.

    A cosine with a zero row is 0. In the correction, `sqrt(1 - t^2)` is at
    least 0.001: targets nearer to 1 would ask for corrections without bound.

    The visiting orders come from a hash of the seed and a counter: the same
    on every backend. With one or two tasks there is nothing to draw.

    Args:
        beta: Weight of the newest cosine in the targets, in [0, 1]. With 0
            the targets stay 0, which is PCGrad. Defaults to `0.5`.
        seed: Optional integer, to draw the same orders in every run. Defaults
            to `None`, a random seed.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `beta` is not in [0, 1], or `seed` not an integer.

    State:
        The targets `[K, K]`; those of pairs with an absent task do not
        change. The seed and the number of calls, in a
        `keras.random.SeedGenerator`.

    Example:

    ```python
    gradvac = keras_mtl.aggregators.GradVac()
    gradvac([[1.0, 0.0], [-1.0, 1.0]])  # [0.5, 1.5]
    ```

    References:
        Wang et al., Gradient Vaccine: Investigating and Improving Multi-task
        Optimization in Massively Multilingual Models, ICLR 2021, equations 2
        and 3 and algorithm 1,
        [arXiv:2010.05874](https://arxiv.org/abs/2010.05874). The paper's beta
        is 0.01; LibMTL and TorchJD have 0.5, and add 1e-8 to the denominators.
        All parameters form one group here.
    """

    def __init__(
        self, beta: float = 0.5, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.beta = checked_number("beta", beta, "[0, 1]")
        self.add_seed(seed)
        self.targets: Any = None

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        num_tasks = shapes[0][0]
        self.targets = self.add_state("targets", (num_tasks, num_tasks), dtype)

    def compute_weights(
        self,
        gramian: Tensor,
        losses: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        gramian, mask = self.prepare(gramian, mask)
        num_tasks = gramian.shape[0]
        seed = next_seed(self.seed_generator) if num_tasks > 2 else None
        old = ops.convert_to_tensor(self.targets)

        def solve(
            xp: Namespace,
            gramian: Tensor,
            targets: Tensor,
            mask: Tensor | None,
            seed: Tensor,
        ) -> Tensor:
            if seed is None:
                places = xp.arange(num_tasks, dtype="int32")
                orders = xp.stack([places] * num_tasks)
            else:
                orders = random_orders(xp, seed, num_tasks)
            return _vaccinate(xp, gramian, orders, targets, mask, self.beta)

        result = run(solve, gramian, ops.cast(old, gramian.dtype), mask, seed)
        targets = ops.cast(result[1:], old.dtype)
        if mask is not None:
            present = mask > 0
            both = ops.logical_and(present[:, None], present[None, :])
            targets = ops.where(both, targets, old)
        self.targets.assign(targets)
        return result[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta": self.beta, "seed": self.seed}


def vaccine_weights(
    gramian: Tensor,
    orders: Any,
    targets: Any,
    mask: Tensor | None = None,
    beta: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """Returns weights and new targets for given visiting orders.

    Args:
        gramian: Tensor `[K, K]`.
        orders: Integer tensor `[K, K]` or `[K, K - 1]`: row `i` holds the
            tasks in the order in which task `i` visits them, with or without
            itself.
        targets: Tensor `[K, K]` of target cosines.
        mask: Optional tensor `[K]`, positive for present tasks. Defaults to
            `None`, all present.
        beta: As in `GradVac`. Defaults to `0.5`.

    Returns:
        `(weights, targets)`: tensors `[K]` and `[K, K]`.
    """

    def solve(
        xp: Namespace,
        gramian: Tensor,
        orders: Tensor,
        targets: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        return _vaccinate(xp, gramian, orders, targets, mask, beta)

    result = run(solve, gramian, orders, targets, mask)
    return result[0], result[1:]


def _vaccinate(
    xp: Namespace,
    gramian: Tensor,
    orders: Tensor,
    targets: Tensor,
    mask: Tensor | None,
    beta: Tensor,
) -> Tensor:
    """Returns the weights above the new targets, `[K + 1, K]`."""
    num_tasks = gramian.shape[0]
    norms, cosines, active = unit_gramian(xp, gramian, mask)
    present = xp.cast(present_tasks(xp, gramian, mask), gramian.dtype)
    inside = xp.cast(active, gramian.dtype)
    identity = xp.eye(num_tasks, dtype=gramian.dtype)
    visits = xp.one_hot(orders, num_tasks, dtype=gramian.dtype)
    visits = visits * (1.0 - identity)[:, None, :]
    visits = visits * (present[:, None, None] * present[None, None, :])
    # Coefficients of the unit rows, divided by the norm of the own row: all
    # tasks take each step at once.
    start = identity * inside
    coefficients = start
    noise = 8.0 * xp.epsilon
    for place in range(orders.shape[1]):
        visited = visits[:, place]
        products = xp.matmul(coefficients, cosines)
        square = xp.sum(products * coefficients, axis=1)
        # What opposed rows leave of a vector is rounding noise.
        size = xp.sum(xp.abs(coefficients), axis=1)
        there = square > noise * xp.square(size)
        length = xp.sqrt(xp.where(there, square, xp.ones_like(square)))
        meets = visited * inside
        cosine = xp.sum(products * meets, axis=1) / length
        cosine = xp.where(there, cosine, xp.zeros_like(cosine))
        cosine = xp.clip(cosine, -1.0, 1.0)
        target = xp.sum(targets * visited, axis=1)
        sine = xp.sqrt(1.0 - xp.square(cosine))
        target_sine = xp.sqrt(
            xp.maximum(1.0 - xp.square(target), SMALLEST_SINE_SQUARE)
        )
        missing = length * (target * sine / target_sine - cosine)
        moves = xp.logical_and(there, cosine < target)
        missing = xp.where(moves, missing, xp.zeros_like(missing))
        coefficients = coefficients + missing[:, None] * meets
        targets = targets + visited * (beta * (cosine - target))[:, None]
    # One factor after the other: a product of two norms may overflow.
    changes = xp.where(active, norms, xp.zeros_like(norms))[:, None]
    changes = xp.sum((coefficients - start) * changes, axis=0)
    # Added to the exact 1 of each row, which a norm too small to square keeps.
    weights = present + xp.where(active, changes / norms, 0.0 * norms)
    return xp.concatenate([weights[None, :], targets], axis=0)
