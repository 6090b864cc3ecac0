"""Weighting by learned uncertainty."""

from typing import Any

from keras import ops

from keras_mtl.balancers.learned import LearnedBalancer
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.balancers.UW")
class UW(LearnedBalancer):
    """Weighs each task by the inverse of a learned variance.

    The variance of a task is learned along with the model and follows its
    loss: where it has settled, every weighted loss is 1/2, so that the scales
    of the losses drop out. `Log` has that optimum without learning; this one
    follows it with a delay and is smoother for noisy losses.

    `S = sum_k (exp(-s_k) loss_k + s_k) / 2`

    The weight of task `k` is `exp(-s_k) / 2`, with `s_k` the logarithm of the
    variance before the update of this step. Losses should not be negative.

    Args:
        initial_value: All `s_k` at the start, in [-40, 40]. Defaults to
            `0.0`, weights of 1/2.
        learning_rate: Step size for the `s_k`, at least 0. Defaults to
            `0.025`.
        optimizer: `"adam"` or `"sgd"`, which moves the `s_k`. Plain gradient
            steps are as large as the losses. Defaults to `"adam"`.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.

    Raises:
        ValueError: If an argument is out of range.

    State:
        The `s_k`, and with Adam its two moments and the steps of each task.
        They belong to the strategy: the model's optimizer, its learning rate
        and its schedule do not touch them. They stay in [-40, 40], whatever
        the losses.

    Example:

    ```python
    uw = keras_mtl.balancers.UW(learning_rate=0.1, optimizer="sgd")
    uw([1.0, 3.0])  # [0.5, 0.5]
    uw([1.0, 3.0])  # about [0.5, 0.4524]: s is now [0.0, 0.1]
    ```

    References:
        Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to
        Weigh Losses for Scene Geometry and Semantics, CVPR 2018, equation 7
        in the logarithm of the variance,
        [arXiv:1705.07115](https://arxiv.org/abs/1705.07115). There,
        classification has no factor 1/2 at the loss; published code has it
        for all tasks, as here. LibMTL starts at -0.5, others at 0. Most code
        leaves the `s_k` to the model's optimizer; the learning rate here is
        that of nash-mtl.
    """

    def __init__(
        self,
        initial_value: float = 0.0,
        learning_rate: float = 0.025,
        optimizer: str = "adam",
        **kwargs: Any,
    ):
        super().__init__(initial_value, learning_rate, optimizer, **kwargs)

    def weights_and_gradient(
        self, losses: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        weights = 0.5 * ops.exp(-values)
        return weights, 0.5 - weights * losses
