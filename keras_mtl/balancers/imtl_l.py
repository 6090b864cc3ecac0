"""Impartial multi-task learning, the loss part."""

from typing import Any

from keras import ops

from keras_mtl.balancers.learned import LearnedBalancer
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.balancers.IMTLL")
class IMTLL(LearnedBalancer):
    """Learns a scale per task that brings all losses to the same size.

    Where the scales have settled, every scaled loss is 1. The same optimum as
    `Log`, which needs nothing to learn, reached slowly; and twice `UW`, with
    the opposite sign of `s`. Together with `keras_mtl.aggregators.IMTLG`, it
    is the complete method of the paper.

    `S = sum_k (exp(s_k) loss_k - s_k)`

    The weight of task `k` is `exp(s_k)`, with `s_k` before the update of this
    step. Losses must be positive; a loss that stays at 0 lets its weight grow
    up to exp(40).

    Args:
        initial_value: All `s_k` at the start, in [-40, 40]. Defaults to
            `0.0`, weights of 1.
        learning_rate: Step size for the `s_k`, at least 0. Defaults to
            `0.025`.
        optimizer: `"adam"` or `"sgd"`, which moves the `s_k`. Plain gradient
            steps are as large as the losses. Defaults to `"adam"`.
        **kwargs: Passed on to `keras_mtl.balancers.Balancer`.

    Raises:
        ValueError: If an argument is out of range.

    State:
        As that of `keras_mtl.balancers.UW`.

    Example:

    ```python
    imtl_l = keras_mtl.balancers.IMTLL(learning_rate=0.1, optimizer="sgd")
    imtl_l([1.0, 3.0])  # [1.0, 1.0]
    imtl_l([1.0, 3.0])  # about [1.0, 0.8187]: s is now [0.0, -0.2]
    ```

    References:
        Liu et al., Towards Impartial Multi-task Learning, ICLR 2021, section
        3.2 and algorithm 1, with e as the base. The paper and published code
        leave the `s_k` to the model's optimizer; here they have their own.
    """

    def __init__(
        self,
        initial_value: float = 0.0,
        learning_rate: float = 0.025,
        optimizer: str = "adam",
        **kwargs: Any,
    ):
        super().__init__(initial_value, learning_rate, optimizer, **kwargs)

    def lowest_losses(self, dtype: str) -> float:
        return 0.0

    def weights_and_gradient(
        self, losses: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        weights = ops.exp(values)
        return weights, weights * losses - 1.0
