"""Random weights."""

from typing import Any

from keras_mtl.balancers.balancer import Balancer
from keras_mtl.export import keras_mtl_export
from keras_mtl.seeded import next_seed
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.random_numbers import random_normal
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.balancers.RLW")
class RLW(Balancer):
    """Draws new task weights in every step.

    A baseline that any method that claims to balance tasks should beat. It
    looks at nothing; on average it is equal weighting, with more noise.

    `w = softmax(n)` over the tasks that are present, `n` from the standard
    normal distribution

    The weights add up to 1, those of `Equal` to K: compare the two at
    learning rates that differ by the factor K, or with Adam. The draws come
    from a hash of the seed and a counter: the same on every backend.

    Args:
        seed: Optional integer, to draw the same weights in every run. Defaults
            to `None`, a random seed.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.

    Raises:
        ValueError: If `seed` is not an integer from 0 to 2^31 - 1.

    State:
        The seed and the number of calls, in a `keras.random.SeedGenerator`.

    Example:

    ```python
    weights = keras_mtl.balancers.RLW(seed=1)([0.5, 2.0])  # sum of 1
    ```

    References:
        Lin et al., Reasonable Effectiveness of Random Weighting: A Litmus
        Test for Multi-Task Learning, TMLR 2022, algorithm 2,
        [arXiv:2111.10603](https://arxiv.org/abs/2111.10603). The weights add
        up to 1 in the published libraries too.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.add_seed(seed)

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        def draw(
            xp: Namespace, losses: Tensor, mask: Tensor | None, seed: Tensor
        ) -> Tensor:
            draws = random_normal(xp, seed, losses.shape[0], losses.dtype)
            return _softmax(xp, draws, mask)

        return run(draw, losses, mask, next_seed(self.seed_generator))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


def random_weights(draws: Tensor, mask: Tensor | None = None) -> Tensor:
    """Returns the weights for given draws.

    Args:
        draws: Tensor `[K]` of normally distributed numbers.
        mask: Optional tensor `[K]`, positive for present tasks. Defaults to
            `None`, all present.

    Returns:
        Tensor `[K]`.
    """
    return run(_softmax, draws, mask)


def _softmax(xp: Namespace, draws: Tensor, mask: Tensor | None) -> Tensor:
    # The draws are below 6: nothing overflows.
    shares = xp.exp(draws)
    if mask is not None:
        shares = xp.where(mask > 0, shares, xp.zeros_like(shares))
    return shares / xp.maximum(xp.sum(shares), 1e-30)
