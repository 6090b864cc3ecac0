"""Geometric mean of the losses."""

from keras import ops

from keras_mtl.balancers.balancer import Balancer
from keras_mtl.balancers.masked import count_present
from keras_mtl.balancers.masked import positive_losses
from keras_mtl.balancers.masked import presence
from keras_mtl.export import keras_mtl_export
from keras_mtl.typing import Tensor


@keras_mtl_export("keras_mtl.balancers.GLS")
class GLS(Balancer):
    """Geometric mean of the losses.

    Relative progress counts, as with `Log`: the weights have the same ratios,
    and each task contributes the same relative gradient. The common factor is
    the geometric mean itself, so that the step gets shorter as the losses go
    down. Losses must be positive. There is nothing to choose or to learn.

    `S = (loss_1 ... loss_n)^(1/n)` over the `n` tasks that are present

    The weight of task `k` is `S / (n loss_k)`. Losses below 1e-18 are taken
    for 1e-18.

    Args:
        **kwargs: Passed on to `keras.layers.Layer`, such as `name`.

    Example:

    ```python
    keras_mtl.balancers.GLS()([0.5, 2.0])  # [1.0, 0.25]
    ```

    References:
        Chennupati et al., MultiNet++: Multi-Stream Feature Aggregation and
        Geometric Loss Strategy for Multi-Task Learning, CVPR Workshops 2019,
        [arXiv:1904.08492](https://arxiv.org/abs/1904.08492). The
        numbers that LibMTL logs as weights of this method are others; its
        gradients are these.
    """

    def lowest_losses(self, dtype: str) -> float:
        return 0.0

    def compute_weights(
        self, losses: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        present = presence(losses, mask)
        count = count_present(present)
        # Logarithms: the product of a few losses may overflow.
        logs = ops.log(positive_losses(losses, present))
        mean = ops.sum(logs * present) / count
        return ops.exp(mean - logs) * present / count
