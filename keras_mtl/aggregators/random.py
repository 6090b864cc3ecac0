"""A weighted sum of the task gradients with random weights."""

from typing import Any

from keras_mtl.aggregators.linear import LinearAggregator
from keras_mtl.aggregators.linear import presence
from keras_mtl.export import keras_mtl_export
from keras_mtl.seeded import next_seed
from keras_mtl.solvers.namespace import run
from keras_mtl.solvers.random_numbers import random_normal
from keras_mtl.typing import Namespace
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.aggregators.Random")
class Random(LinearAggregator):
    """Sum of the task gradients with weights drawn anew in each step.

    A baseline that costs one backward pass: the weights average to 1 / K, and
    their noise alone may help to leave sharp minima. Other methods should do
    better than it.

    `d = w_1 g_1 + ... + w_K g_K` with `w = softmax(z)`, `z` standard normal

    The numbers come from a hash of the seed and a counter: the same on every
    backend. Weights do not depend on the gradients, so that one draw serves
    clean and perturbed gradients of a step alike. The weights of the tasks
    that are present sum to 1.

    Args:
        seed: Optional integer, to draw the same weights in every run.
            Defaults to `None`, a random seed.
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `seed` is not an integer.

    State:
        The seed and the number of calls, in a `keras.random.SeedGenerator`.

    Example:

    ```python
    random = keras_mtl.aggregators.Random(seed=1)
    random([[1.0, 0.0], [0.0, 1.0]])  # Two positive numbers with sum 1.
    ```

    References:
        Lin et al., Reasonable Effectiveness of Random Weighting: A Litmus Test
        for Multi-Task Learning, TMLR 2022,
        [arXiv:2111.10603](https://arxiv.org/abs/2111.10603). The paper weighs
        the gradients, as here, or the losses, which differs in the tasks' own
        variables.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.add_seed(seed)

    def compute_row_weights(
        self, num_tasks: int, mask: Tensor | None = None, dtype: str = "float32"
    ) -> Tensor:
        present = presence(num_tasks, mask, dtype)

        def solve(xp: Namespace, present: Tensor, seed: Tensor) -> Tensor:
            normal = random_normal(xp, seed, num_tasks, present.dtype)
            return softmax_weights(xp, normal, present)

        return run(solve, present, next_seed(self.seed_generator))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


def softmax_weights(xp: Namespace, logits: Tensor, present: Tensor) -> Tensor:
    """Returns the softmax over the tasks that are present.

    Args:
        xp: Namespace of array functions.
        logits: Tensor `[K]`.
        present: Tensor `[K]`, 1 for present tasks, 0 for absent.

    Returns:
        Tensor `[K]`: sum 1, or all 0 if nobody is there.
    """
    lowest = xp.min(logits)
    highest = xp.max(xp.where(present > 0, logits, lowest))
    # At most 0 where it counts, so that the largest term is 1.
    powers = present * xp.exp(xp.minimum(logits - highest, 0.0))
    return powers / xp.maximum(xp.sum(powers), 1e-30)
