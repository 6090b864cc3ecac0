"""Equal weighting."""

from keras import ops

from keras_mtl.balancers.balancer import Balancer
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.balancers.Equal")
class Equal(Balancer):
    """Weighs every task by 1: `S = sum_k loss_k`.

    Also called linear scalarisation or unitary scalarisation. With a tuned
    learning rate it is a strong baseline; try it first.

    Example:

    ```python
    keras_mtl.balancers.Equal()([0.5, 2.0])  # [1.0, 1.0]
    ```

    Reference:

    - [Kurin et al., 2022](https://arxiv.org/abs/2201.04122), on how far this
        gets.
    """

    elementwise = True
    neutral = True

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        return ops.ones_like(losses)
