"""Dual-balancing multi-task learning, the gradient part."""

from typing import Any

from keras import ops

from keras_mtl import backend
from keras_mtl.aggregators.aggregator import Aggregator
from keras_mtl.aggregators.jacobian import Jacobian
from keras_mtl.aggregators.jacobian import wide_dtype
from keras_mtl.export import keras_mtl_export

EPSILON = 1e-8


@keras_mtl_export("keras_mtl.aggregators.DBMTL")
class DBMTL(Aggregator):
    """Sum of smoothed task gradients, all scaled to the largest norm.

    Balances the sizes of the gradients: each row of a moving average gets the
    norm of the largest. Together with the logarithm of the losses
    (`keras_mtl.balancers.Log`), which balances their scales, it is DB-MTL;
    the preset `"db_mtl"` has both.

    In the `t`-th step of task `k`:

    `b_k = beta_t b_k + (1 - beta_t) g_k` with `beta_t = beta / t^sigma`

    `d = max_j ||b_j|| sum_k b_k / (||b_k|| + 1e-8)`

    The averages start from zero without a correction for it; the factor is
    the same for all tasks and does not change the balance. A task that is
    absent keeps its average and its step number, and does not contribute.

    Args:
        beta: Forgetting factor of the moving average, in [0, 1). With 0 there
            is no average and no memory for it. Defaults to `0.9`.
        sigma: Exponent by which the forgetting factor decays, at least 0.
            Defaults to `0.5`. (0 keeps it constant. That is the default of
            one published library, and the worst of the values in the paper's
            own comparison.)
        **kwargs: Passed on to `keras_mtl.aggregators.Aggregator`.

    Raises:
        ValueError: If `beta` is not in [0, 1), or `sigma` is negative.

    State:
        One average `[K, *shape]` per variable and one step number per task.

    Example:

    ```python
    db_mtl = keras_mtl.aggregators.DBMTL(beta=0.0)
    db_mtl([[1.0, 0.0], [0.0, 3.0]])  # [3.0, 3.0]
    ```

    References:
        Lin et al., Dual-Balancing for Multi-Task Learning,
        [arXiv:2308.12029](https://arxiv.org/abs/2308.12029), section 3.2 and
        algorithm 1. Extensions that some secondary descriptions ascribe to
        the method, a term that aligns directions and a gate on the task
        weights, are not in the paper and not here.
    """

    def __init__(self, beta: float = 0.9, sigma: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(beta, (int, float)) or not 0 <= beta < 1:
            raise ValueError(
                f"Argument `beta` must be in [0, 1). Received: beta={beta}"
            )
        if not isinstance(sigma, (int, float)) or not (
            0 <= sigma < float("inf")
        ):
            raise ValueError(
                "Argument `sigma` must be a finite number, at least 0. "
                f"Received: sigma={sigma}"
            )
        self.beta = float(beta)
        self.sigma = float(sigma)
        self.averages: list[Any] = []
        self.steps: Any = None

    def build_state(self, shapes: list[tuple[int, ...]], dtype: str) -> None:
        if self.beta == 0 or not shapes:
            return
        dtype = wide_dtype(dtype)

        def zeros(name, shape):
            return self.add_weight(
                name=name,
                shape=shape,
                dtype=dtype,
                initializer="zeros",
                trainable=False,
            )

        self.steps = zeros("steps", (shapes[0][0],))
        self.averages = [
            zeros(f"average_{index}", shape)
            for index, shape in enumerate(shapes)
        ]

    def aggregate(
        self, jacobian: Jacobian, losses: Any = None, mask: Any = None
    ) -> list[Any]:
        if not jacobian.num_variables:
            return []
        dtype = jacobian.dtype
        own_dtypes = [stack.dtype for stack in jacobian.stacks]
        if mask is None:
            present = ops.ones((jacobian.num_tasks,), dtype=dtype)
        else:
            present = ops.cast(mask > 0, dtype)
        if self.beta == 0:
            averages = jacobian
        else:
            averages = self._update_averages(jacobian, present)
        norms = ops.sqrt(ops.where(present > 0, averages.squared_norms(), 0.0))
        weights = present * (ops.amax(norms) / (norms + EPSILON))
        return [
            ops.cast(update, own_dtype)
            for update, own_dtype in zip(
                averages.combine(weights), own_dtypes, strict=True
            )
        ]

    def _update_averages(self, jacobian, present):
        dtype = self.steps.dtype
        present = ops.cast(present, dtype)
        steps = self.steps + present
        beta = self.beta / ops.power(
            ops.where(steps < 1, 1.0, steps), self.sigma
        )
        gain = (1.0 - beta) * present
        averages = []
        stacks, reuse = jacobian.take_stacks()
        for average, stack in zip(self.averages, stacks, strict=True):
            column = ops.reshape(gain, (-1,) + (1,) * (len(stack.shape) - 1))
            # A gain of 0 leaves the average of an absent task bit for bit.
            value = backend.lerp(
                ops.convert_to_tensor(average),
                ops.cast(stack, dtype),
                column,
                reuse=reuse,
            )
            average.assign(value)
            averages.append(value)
        self.steps.assign(steps)
        return Jacobian(stacks=averages)

    def state_reset(self) -> None:
        for variable in [self.steps, *self.averages] if self.averages else []:
            variable.assign(ops.zeros_like(variable.value))

    def get_config(self):
        return {
            **super().get_config(),
            "beta": self.beta,
            "sigma": self.sigma,
        }
