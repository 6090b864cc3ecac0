"""Logarithm of the losses."""

from typing import Any

from keras import ops

from keras_mtl.arguments import checked_number
from keras_mtl.balancers.balancer import Balancer
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.balancers.Log")
class Log(Balancer):
    """Takes the logarithm of each loss: `S = sum_k log(loss_k + eps)`.

    The weight of task k is `1 / (loss_k + eps)`, so that the scale of a loss
    drops out: tasks measured in different units get comparable gradients,
    without a parameter to learn. Also called scale-invariant weighting; it is
    IMTL-L with its learned scale at the optimum. Losses must be positive: a
    negative one has no logarithm, its weight is NaN, and `fit` says so. Add a
    constant to such a loss, 1 to `keras.losses.CosineSimilarity` for instance.

    Args:
        eps: Non-negative number added to each loss. Defaults to `1e-8`.
        **kwargs: Passed on to `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If `eps` is negative.

    Example:

    ```python
    keras_mtl.balancers.Log()([0.5, 2.0])  # about [2.0, 0.5]
    ```

    Reference:

    - [Lin et al., 2023](https://arxiv.org/abs/2308.12029), section 3.1 and
        Algorithm 1, line 4; proposition 3.1 for the relation to IMTL-L.
    """

    elementwise = True

    def __init__(self, eps: float = 1e-8, **kwargs: Any):
        super().__init__(**kwargs)
        self.eps = checked_number("eps", eps)

    def lowest_losses(self, dtype: str) -> float:
        return -self.eps

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        if mask is not None:
            # The loss of an absent task is 0 and says nothing.
            losses = ops.where(mask > 0, losses, ops.ones_like(losses))
        return 1.0 / (losses + self.eps)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "eps": self.eps}
